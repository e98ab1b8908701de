/*
 * MicroPython module `eap`: the station logs in to a network by WPA2-Enterprise (IEEE 802.1X) with a user's name and
 * password, by EAP-PEAP or EAP-TTLS (RFC 5281), whichever the network offers. ESP-IDF's esp_eap_client.h, 5.3 to 5.5.
 */
#include "esp_eap_client.h"
#include "esp_idf_version.h"
#include "esp_wifi.h"
#include "sdkconfig.h"

#include "mphalport.h"
#include "py/mperrno.h"
#include "py/runtime.h"

#include <string.h>

#if !CONFIG_MBEDTLS_CERTIFICATE_BUNDLE || CONFIG_MBEDTLS_HAVE_TIME_DATE
#error "eap: certificates are checked against ESP-IDF's bundle, and without a clock"
#endif

enum { MAX_BYTES = 64 };

/* The server's name in its certificate can be checked from these releases on; the methods be restricted. */
#define HAS_SERVER_NAME                                                                                                \
    (ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 4, 2) ||                                                                \
     (ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 3, 4) && ESP_IDF_VERSION < ESP_IDF_VERSION_VAL(5, 4, 0)))
#define HAS_METHODS                                                                                                    \
    (ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 5, 1) ||                                                                \
     (ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 3, 4) && ESP_IDF_VERSION < ESP_IDF_VERSION_VAL(5, 4, 0)))

static const char *get_text(mp_obj_t obj, size_t least, size_t most, size_t *len)
{
    const char *text = mp_obj_str_get_data(obj, len);
    if (*len < least || *len > most) {
        mp_raise_ValueError(NULL);
    }
    return text;
}

/* Forgets the login: what connect() joins from now on has a key, or none. */
static mp_obj_t eap_off(void)
{
    /* It forgets all that the esp_eap_client functions were told. An error says that it was off. */
    (void)esp_wifi_sta_enterprise_disable();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(eap_off_obj, eap_off);

/* Only a server with this name, and a certificate of an authority that the world trusts, gets to see the password. */
static esp_err_t trust(const char *server)
{
    const bool any = server[0] == '\0';
#if HAS_SERVER_NAME
    const esp_err_t error = esp_eap_client_set_domain_name(any ? NULL : server);
    return error != ESP_OK ? error : esp_eap_client_use_default_cert_bundle(!any);
#else
    return any ? esp_eap_client_use_default_cert_bundle(false) : ESP_ERR_NOT_SUPPORTED;
#endif
}

static esp_err_t set_login(const mp_obj_t *args, bool pap)
{
    size_t identity_len;
    size_t user_len;
    size_t password_len;
    size_t server_len;
    const char *identity = get_text(args[1], 1, MAX_BYTES, &identity_len);
    const char *user = get_text(args[2], 1, MAX_BYTES, &user_len);
    const char *password = get_text(args[3], 1, MAX_BYTES, &password_len);
    const char *server = get_text(args[4], pap ? 1 : 0, MAX_BYTES, &server_len);
    esp_err_t error = trust(server);
    if (error == ESP_OK) {
        error = esp_eap_client_set_identity((const unsigned char *)identity, (int)identity_len);
    }
    if (error == ESP_OK) {
        error = esp_eap_client_set_username((const unsigned char *)user, (int)user_len);
    }
    if (error == ESP_OK) {
        error = esp_eap_client_set_password((const unsigned char *)password, (int)password_len);
    }
    if (error == ESP_OK) {
        error = esp_eap_client_set_ttls_phase2_method(pap ? ESP_EAP_TTLS_PHASE2_PAP : ESP_EAP_TTLS_PHASE2_MSCHAPV2);
    }
    if (error == ESP_OK) {
        error = esp_eap_client_set_disable_time_check(true); /* the bridge has no clock */
    }
#if HAS_METHODS
    if (error == ESP_OK) {
        error = esp_eap_client_set_eap_methods(pap ? ESP_EAP_TYPE_TTLS : ESP_EAP_TYPE_PEAP | ESP_EAP_TYPE_TTLS);
    }
#endif
    return error == ESP_OK ? esp_wifi_sta_enterprise_enable() : error;
}

/* Which network: none of that name that is open, or has a key, will do. */
static esp_err_t set_network(mp_obj_t ssid_in)
{
    wifi_config_t config = {0};
    size_t len;
    const char *ssid = get_text(ssid_in, 1, sizeof(config.sta.ssid), &len);
    memcpy(config.sta.ssid, ssid, len);
    config.sta.threshold.authmode = WIFI_AUTH_WPA2_ENTERPRISE;
    config.sta.pmf_cfg.capable = true;
    return esp_wifi_set_config(WIFI_IF_STA, &config);
}

/*
 * on(ssid, identity, user, password, server, inner): what the next connect() without arguments joins, and logs in to.
 * `identity` is what everybody may hear; `server` the name in the certificate of the network's server, "" for any;
 * `inner` "mschapv2", or "pap" (TTLS only, and not without a server's name: it tells the password). Texts have 1 to 64
 * bytes, the ssid 1 to 32. Raises ValueError; OSError with an esp_err_t, and then nothing is set.
 */
static mp_obj_t eap_on(size_t n_args, const mp_obj_t *args)
{
    (void)n_args;
    const qstr inner = mp_obj_str_get_qstr(args[5]);
    if (inner != MP_QSTR_mschapv2 && inner != MP_QSTR_pap) {
        mp_raise_ValueError(NULL);
    }
    (void)eap_off();
    esp_err_t error = set_network(args[0]);
    if (error == ESP_OK) {
        error = set_login(args, inner == MP_QSTR_pap);
    }
    if (error != ESP_OK) {
        (void)eap_off();
        check_esp_err(error);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(eap_on_obj, 6, 6, eap_on);

static const mp_rom_map_elem_t globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_eap)},
    {MP_ROM_QSTR(MP_QSTR_on), MP_ROM_PTR(&eap_on_obj)},
    {MP_ROM_QSTR(MP_QSTR_off), MP_ROM_PTR(&eap_off_obj)},
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t mp_module_eap = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&globals,
};

MP_REGISTER_MODULE(MP_QSTR_eap, mp_module_eap);
