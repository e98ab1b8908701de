import { useEffect, useState } from "preact/hooks";
import { useBack } from "../back.ts";
import { Button, Check, Choice, Dialog, Notice, Screen, Waiting } from "../parts/index.ts";
import { texts } from "../texts.ts";
import { CHIPS } from "./chips.ts";
import type { Told } from "./console.ts";
import "./flash.css";
import { flash, label, type Phase, type Watcher } from "./flashing.ts";
import { type Image, LONGEST_IMAGE, readImage } from "./image.ts";
import { LabelScreen } from "./label.tsx";
import { load, type Offer, offers } from "./manifest.ts";
import { FlashTrouble } from "./trouble.ts";

/** What plugs in under these USB vendor ids is likely to be a board: host_tools/speakeasy/board/ports.py. */
const MAKERS = [0x303a, 0x10c4, 0x1a86, 0x0403, 0x067b];
const OWN_FILE = "";

type State =
  | { at: "choosing" }
  | { at: "sure" }
  | { at: "working"; flashing: boolean; phase: Phase; part: number | null }
  | { at: "again"; chosen: (port: SerialPort) => void; given: (up: FlashTrouble) => void }
  | { at: "done"; told: Told; flashed: boolean }
  | { at: "trouble"; trouble: FlashTrouble };

/** Puts the firmware on a board, and shows its label. `onPair` is given the setup code, a secret. */
export function Flash(props: { onPair: (code: string) => void; onBack: () => void }) {
  const [state, setState] = useState<State>({ at: "choosing" });
  const [offered, setOffered] = useState<Offer[]>([]);
  const [which, setWhich] = useState(OWN_FILE);
  const [image, setImage] = useState<Image | null>(null);
  const [wrong, setWrong] = useState<FlashTrouble | null>(null);
  const [fresh, setFresh] = useState(false);
  // Who found nothing in the list sees all of it the next time: some boards have rarer USB chips.
  const [allPorts, setAllPorts] = useState(false);
  const busy = state.at === "working" || state.at === "again";
  // Nobody leaves a board that is being written to by a slip of the thumb.
  useBack(busy || state.at === "sure" || state.at === "trouble" ? 1 : 0, () => !busy && setState({ at: "choosing" }));

  useEffect(() => {
    let there = true;
    void offers(document.baseURI).then((found) => {
      if (!there || found.length === 0) return;
      setOffered(found);
      setWhich((which) => which || found[0]!.file);
    });
    return () => {
      there = false;
    };
  }, []);

  // Whoever closes the page meanwhile leaves half a firmware.
  useEffect(() => {
    if (!busy) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [busy]);

  const offer = offered.find(({ file }) => file === which);
  const pick = async (file: File | undefined) => {
    setImage(null);
    setWrong(null);
    if (!file) return;
    try {
      if (file.size > LONGEST_IMAGE) throw new FlashTrouble("not-firmware");
      setImage(await readImage(file.name, new Uint8Array(await file.arrayBuffer())));
    } catch (error) {
      setWrong(error instanceof FlashTrouble ? error : new FlashTrouble("not-firmware"));
    }
  };

  /** The whole way, from the browser's list of ports on. */
  const go = async (flashing: boolean, erase: boolean) => {
    const watcher: Watcher = {
      phase: (phase, part) => setState({ at: "working", flashing, phase, part }),
      chooseAgain: () => new Promise((chosen, given) => setState({ at: "again", chosen, given })),
    };
    try {
      const port = await choosePort(allPorts);
      watcher.phase(flashing ? "looking" : "asking", null);
      let told: Told;
      if (flashing) {
        const what = offer ? await load(offer, document.baseURI) : image!;
        told = await flash(port, what, erase, watcher);
      } else {
        told = await label(port, watcher);
      }
      setState({ at: "done", told, flashed: flashing });
    } catch (error) {
      if (error instanceof FlashTrouble) setAllPorts(error.kind === "nobody-chosen");
      else console.error(error);
      setState({
        at: "trouble",
        trouble: error instanceof FlashTrouble ? error : new FlashTrouble("stopped-answering"),
      });
    }
  };

  switch (state.at) {
    case "choosing":
    case "sure":
      return (
        <Screen
          title={texts.flash.title}
          lead={texts.flash.lead}
          back={props.onBack}
          actions={
            <>
              <Button
                label={texts.flash.begin}
                icon="cable"
                disabled={!offer && !image}
                onTap={() => (fresh ? setState({ at: "sure" }) : go(true, false))}
              />
              <Button kind="plain" label={texts.flash.onlyLabel} onTap={() => go(false, false)} />
            </>
          }
        >
          {offered.length > 0 && (
            <Choice
              label={texts.flash.whichFirmware}
              value={which}
              onChoose={setWhich}
              options={[
                ...offered.map(({ name, chip, flash_size, file }) => ({
                  value: file,
                  label: name,
                  hint: texts.flash.offer(CHIPS[chip].name, flash_size),
                })),
                { value: OWN_FILE, label: texts.flash.ownFile },
              ]}
            />
          )}
          {!offer && <FilePlace image={image} wrong={wrong} onFile={pick} />}
          <Check label={texts.flash.fresh} hint={texts.flash.freshHint} on={fresh} onChange={setFresh} />
          {state.at === "sure" && (
            <Dialog
              title={texts.flash.eraseTitle}
              confirm={texts.flash.eraseConfirm}
              danger
              onConfirm={() => go(true, true)}
              onClose={() => setState({ at: "choosing" })}
            >
              {texts.flash.eraseWords}
            </Dialog>
          )}
        </Screen>
      );
    case "working":
      return (
        <Screen
          title={state.flashing ? texts.flash.workingTitle : texts.flash.labelTitle}
          lead={state.flashing ? texts.flash.working : texts.flash.restarted}
        >
          <Waiting>{texts.flash.phase[state.phase]}</Waiting>
          {state.part !== null && (
            <div class="flash-progress">
              <progress aria-label={texts.flash.progress} value={state.part} max={1} />
              <span>{texts.flash.percent(state.part)}</span>
            </div>
          )}
        </Screen>
      );
    case "again":
      return (
        <Screen
          title={texts.flash.againTitle}
          lead={texts.flash.againWords}
          actions={
            <Button
              label={texts.flash.again}
              icon="cable"
              onTap={() => choosePort(allPorts).then(state.chosen, (error: FlashTrouble) => state.given(error))}
            />
          }
        />
      );
    case "done":
      return (
        <LabelScreen
          told={state.told}
          flashed={state.flashed}
          onPair={props.onPair}
          onAnother={() => {
            setFresh(false);
            setState({ at: "choosing" });
          }}
        />
      );
    case "trouble": {
      const words = texts.flash.trouble[state.trouble.kind]({ ...state.trouble.facts, linux: onLinux() });
      return (
        <Screen
          title={texts.flash.troubleTitle}
          back={() => setState({ at: "choosing" })}
          actions={<Button label={texts.flash.oneMore} icon="refresh" onTap={() => setState({ at: "choosing" })} />}
        >
          <Notice kind="trouble" title={words.what}>
            {words.next}
          </Notice>
        </Screen>
      );
    }
  }
}

/** Where a file is picked or dropped. */
function FilePlace(props: {
  image: Image | null;
  wrong: FlashTrouble | null;
  onFile: (file: File | undefined) => void;
}) {
  const { image, wrong } = props;
  const words = wrong && texts.flash.trouble[wrong.kind]({ ...wrong.facts, linux: false });
  return (
    <div
      class="flash-file"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        props.onFile(event.dataTransfer?.files[0]);
      }}
    >
      <label>
        <span class="flash-file-label">{texts.flash.file}</span>
        <span class="flash-file-hint">{texts.flash.fileHint}</span>
        <input type="file" accept=".bin" onChange={(event) => props.onFile(event.currentTarget.files?.[0])} />
      </label>
      {image && <Notice kind="good">{texts.flash.chosen(CHIPS[image.chip].name, image.flashSize)}</Notice>}
      {words && (
        <Notice kind="trouble" title={words.what}>
          {words.next}
        </Notice>
      )}
    </div>
  );
}

/** The person's choice of the browser's list. Raises FlashTrouble. */
async function choosePort(all: boolean): Promise<SerialPort> {
  try {
    const filters = all ? [] : MAKERS.map((usbVendorId) => ({ usbVendorId }));
    return await navigator.serial.requestPort({ filters });
  } catch {
    throw new FlashTrouble("nobody-chosen");
  }
}

const onLinux = () => /Linux|CrOS/.test(navigator.userAgent);
