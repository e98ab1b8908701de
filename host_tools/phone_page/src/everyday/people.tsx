import { useState } from "preact/hooks";
import { Button, Dialog, Field, Icon, List } from "../parts/index.ts";
import { isName } from "../protocol/limits.ts";
import { type Session, type Status } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Answer, Frame, Outcome } from "./frame.tsx";
import { type Doing, LOOK_S, useAsked, useDoing, useLive, useNow } from "./live.tsx";
import { clock, type Role } from "./words.ts";

const t = texts.everyday;

type Person = { phone: string; name: string; role: Role };
type Everybody = { people: Person[]; status: Status; asked: number };

async function everybody(session: Session): Promise<Everybody> {
  const asked = Date.now();
  const { phones } = await session.pages("phones", {});
  return { people: phones, status: await session.pages("status", {}), asked };
}

/** Who is paired, for owners; for a guest the way out alone. */
export function People() {
  const { role } = useLive();
  return role === "owner" ? <Everyone /> : <LeaveAlone />;
}

type Meant = { what: "rename" | "revoke" | "leave"; person: Person };

function Everyone() {
  const { known, session } = useLive();
  const asked = useAsked(everybody, LOOK_S);
  const doing = useDoing();
  const now = useNow(15);
  const [open, setOpen] = useState<string | null>(null);
  const [meant, setMeant] = useState<Meant | null>(null);
  const inUntil = (phone: string) => {
    const lease = asked.value?.status.leases.find((one) => one.phone === phone);
    return lease ? t.inNow(clock(asked.value!.asked + 1000 * lease.left_s, now)) : t.notInNow;
  };
  return (
    <Frame title={t.people} lead={t.peopleLead}>
      <Answer asked={asked} />
      <Outcome doing={doing} />
      {asked.value && (
        <List label={t.people}>
          {asked.value.people.map((person) => {
            const own = person.phone === known.phone;
            return (
              <li key={person.phone} class="person">
                <button
                  type="button"
                  class="row"
                  aria-expanded={open === person.phone}
                  onClick={() => setOpen(open === person.phone ? null : person.phone)}
                >
                  <span class="row-lead">
                    <Icon name="phone" />
                  </span>
                  <span class="row-words">
                    <span class="row-title">{person.name}</span>
                    <span class="row-detail">{`${own ? t.thisPhone : ""}${t.roles[person.role]}, ${inUntil(person.phone)}`}</span>
                  </span>
                  <Icon name="next" />
                </button>
                {open === person.phone && (
                  <div class="person-actions">
                    <Button
                      kind="second"
                      label={t.rename}
                      disabled={!session}
                      onTap={() => setMeant({ what: "rename", person })}
                    />
                    <Button
                      kind="danger"
                      label={own ? t.leave : t.shutOut}
                      disabled={!session}
                      onTap={() => setMeant({ what: own ? "leave" : "revoke", person })}
                    />
                  </div>
                )}
              </li>
            );
          })}
        </List>
      )}
      {meant?.what === "rename" && (
        <RenameDialog person={meant.person} doing={doing} onDone={asked.again} onClose={() => setMeant(null)} />
      )}
      {meant?.what === "revoke" && (
        <ShutOutDialog person={meant.person} doing={doing} onDone={asked.again} onClose={() => setMeant(null)} />
      )}
      {meant?.what === "leave" && <LeaveDialog doing={doing} onClose={() => setMeant(null)} />}
    </Frame>
  );
}

type Asking = { person: Person; doing: Doing; onDone: () => Promise<void>; onClose: () => void };

function RenameDialog({ person, doing, onDone, onClose }: Asking) {
  const live = useLive();
  const [name, setName] = useState(person.name);
  const wanted = name.trim();
  const confirm = async () => {
    if (!isName(wanted)) return;
    onClose();
    await doing.run(async (session) => {
      await session.request("rename", { phone: person.phone, name: wanted });
      if (person.phone === live.known.phone) live.keep({ name: wanted });
      await onDone();
      return t.renamed(wanted);
    });
  };
  return (
    <Dialog title={t.renameTitle(person.name)} confirm={t.save} onConfirm={confirm} onClose={onClose}>
      <Field label={t.name} value={name} onInput={setName} error={isName(wanted) ? undefined : t.nameWrong} />
    </Dialog>
  );
}

function ShutOutDialog({ person, doing, onDone, onClose }: Asking) {
  const confirm = async () => {
    onClose();
    await doing.run(async (session) => {
      await session.request("revoke", { phone: person.phone });
      await onDone();
      return t.shutOutDone(person.name);
    });
    // The row is gone, and the focus with it.
    document.querySelector("h1")?.focus();
  };
  return (
    <Dialog title={t.shutOutTitle(person.name)} confirm={t.shutOut} danger onConfirm={confirm} onClose={onClose}>
      <p>{t.shutOutWarn}</p>
    </Dialog>
  );
}

function LeaveDialog({ doing, onClose }: { doing: Doing; onClose: () => void }) {
  const live = useLive();
  const confirm = async () => {
    onClose();
    await doing.run(async (session) => {
      await session.request("leave", {});
      await live.gone("left");
    });
  };
  return (
    <Dialog title={t.leaveTitle} confirm={t.leaveYes} danger onConfirm={confirm} onClose={onClose}>
      <p>{t.leaveWarn(live.role === "owner")}</p>
    </Dialog>
  );
}

function LeaveAlone() {
  const { session } = useLive();
  const doing = useDoing();
  const [asking, setAsking] = useState(false);
  return (
    <Frame title={t.leave} lead={t.leaveWarn(false)}>
      <Outcome doing={doing} />
      <Button kind="danger" label={t.leave} disabled={!session} busy={doing.busy} onTap={() => setAsking(true)} />
      {asking && <LeaveDialog doing={doing} onClose={() => setAsking(false)} />}
    </Frame>
  );
}
