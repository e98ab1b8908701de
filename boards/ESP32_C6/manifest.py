include("../manifest_esp32.py")
freeze("modules")
