/** The pieces that every screen is made of. */
export { Button, LinkButton } from "./button.tsx";
export { CopyField } from "./copy_field.tsx";
export { Dialog } from "./dialog.tsx";
export { Check, Choice, Field, Form, type Option } from "./field.tsx";
export { Bars, Icon, type IconName, Mark, Spinner } from "./icons.tsx";
export { Facts, List, Row } from "./list.tsx";
export { Notice, TroubleNotice, Waiting, type Words, wordsOf } from "./notice.tsx";
export { QrCode } from "./qr_code.tsx";
export { More, Screen, Section, Steps } from "./screen.tsx";
export { dressTexts } from "./wording.ts";
