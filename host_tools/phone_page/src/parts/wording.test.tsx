// @vitest-environment happy-dom
import { cleanup, render, screen } from "@testing-library/preact";
import { afterEach, beforeAll, expect, test } from "vitest";
import { named, texts } from "../texts.ts";
import { dressTexts, Notice, Row, Screen } from "./index.ts";

beforeAll(dressTexts);
afterEach(cleanup);

const whole = (place: Element) => [...place.querySelectorAll(".whole")].map((one) => one.textContent);
const isolated = (place: Element) => [...place.querySelectorAll("bdi")].map((one) => one.textContent);

test("Wi-Fi stays in one piece wherever it stands, and no letter of the text changes", () => {
  const words = "The Wi-Fi's name, and the other Wi-Fi.";
  const { container, rerender } = render(
    <Notice kind="info" title="Which Wi-Fi?">
      {words} {"More on Wi-Fi"}
    </Notice>,
  );
  expect(container.textContent).toBe(`Which Wi-Fi?${words} More on Wi-Fi`);
  expect(whole(container)).toEqual(Array(4).fill("Wi-Fi"));
  rerender(
    <Notice kind="info" title="Which one?">
      {words}
    </Notice>,
  );
  expect(container.textContent).toBe(`Which one?${words}`);
  expect(whole(container)).toEqual(["Wi-Fi", "Wi-Fi"]);
});

test("a name is isolated from the sentence around it", () => {
  render(<Screen title={texts.firstMinute.joinTitle("مقهى Wi-Fi")} />);
  const heading = screen.getByRole("heading", { name: "Join مقهى Wi-Fi" });
  expect(heading.textContent).toBe("Join مقهى Wi-Fi");
  expect(isolated(heading)).toEqual(["مقهى Wi-Fi"]);
  expect(whole(heading)).toEqual(["Wi-Fi"]);
});

test("a name cannot end its own isolation, nor turn the letters round", () => {
  const marks = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069";
  expect(named(`a${marks}b`)).toBe("\u2068ab\u2069");
  const { container } = render(<p>{texts.firstMinute.joined(`a\u2069\u202eb`)}</p>);
  expect(isolated(container)).toEqual(["ab"]);
  expect(container.textContent).toBe("The bridge is on ab.");
});

test("what stands alone is shown as it is, and a drawing's text has no elements inside", () => {
  const { container } = render(
    <ul>
      <Row title={"Dorm\u202e"} />
      <svg>
        <text>Wi-Fi</text>
      </svg>
    </ul>,
  );
  expect(container.querySelector(".row-title")!.textContent).toBe("Dorm\u202e");
  expect(container.querySelector("text")!.innerHTML).toBe("Wi-Fi");
});
