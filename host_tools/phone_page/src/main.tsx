import { render } from "preact";
import { texts } from "./texts.ts";

function Page() {
  return (
    <main>
      <h1>{texts.name}</h1>
    </main>
  );
}

const place = document.getElementById("page");
if (place) render(<Page />, place);
