// Before and after, one over the other, and a line between them that mouse, finger and keys move.

import { h, styled } from "./dom.js";

/**
 * Lay two pictures over each other. `before` may be null; each picture is a list of addresses, of which the
 * first that loads is shown.
 */
export function compare(id, before, after) {
  const box = h("div", { class: "compare" });
  if (!after.length && !before.length) return nothing(box, "no picture");
  const only = after.length ? "after" : "before";
  if (!after.length || !before.length) {
    box.append(picture(box, only, after.length ? after : before, `${id}, ${only}`));
    box.append(h("span", { class: "tag" }, `${only} only`));
    return box;
  }
  const input = h("input", {
    type: "range", min: 0, max: 100, value: 50, class: "at", "aria-label": `Before and after of ${id}`,
  });
  const place = (value) => {
    if (value !== undefined) input.value = Math.round(value);
    styled(box, { "--at": `${input.value}%` });
    input.setAttribute("aria-valuetext", `${100 - input.value} % after`);
  };
  input.addEventListener("input", () => place());
  box.append(
    picture(box, "after", after, `${id}, after`),
    picture(box, "before", before, `${id}, before`),
    input,
    h("span", { class: "line", "aria-hidden": "true" }),
    h("span", { class: "tag tag-before", "aria-hidden": "true" }, "before"),
    h("span", { class: "tag tag-after", "aria-hidden": "true" }, "after"),
  );
  place();
  follow(box, input, place);
  return box;
}

function picture(box, name, addresses, alt) {
  const [first, ...rest] = addresses;
  const image = h("img", { class: name, alt, decoding: "async", draggable: "false" });
  image.addEventListener("error", () => {
    const next = rest.shift();
    if (next) image.src = next;
    else lose(box, image, name);
  });
  image.src = first;
  return image;
}

/** Go on with the other picture where one of the two does not load. */
function lose(box, image, name) {
  image.remove();
  for (const part of box.querySelectorAll(".at, .line, .tag")) part.remove();
  const other = box.querySelector("img");
  if (other) {
    other.classList.add("after");
    other.classList.remove("before");
    box.append(h("span", { class: "tag" }, `the ${name} picture is not there`));
  } else nothing(box, "the pictures are not there");
}

function nothing(box, words) {
  box.classList.add("is-empty");
  box.replaceChildren(h("span", {}, words));
  return box;
}

/** Let the line follow the pointer; a finger that moves up or down scrolls the page instead. */
function follow(box, input, place) {
  let isHeld = false;
  const move = (event) => {
    const { left, width } = box.getBoundingClientRect();
    place(Math.min(100, Math.max(0, (100 * (event.clientX - left)) / width)));
  };
  box.addEventListener("mousedown", (event) => event.target.closest("button") ?? event.preventDefault());
  box.addEventListener("pointerdown", (event) => {
    if (event.button || event.target.closest("button")) return;
    isHeld = true;
    box.setPointerCapture(event.pointerId);
    input.focus({ preventScroll: true });
    if (event.pointerType === "mouse") move(event);
  });
  box.addEventListener("pointermove", (event) => isHeld && move(event));
  box.addEventListener("pointerup", (event) => {
    if (isHeld) move(event);
    isHeld = false;
  });
  box.addEventListener("pointercancel", () => (isHeld = false));
}
