// Elements, built so that a text can only ever be text.

export const $ = (selector, root = document) => root.querySelector(selector);

/** Make an HTML element; an attribute `onNAME` is a listener, null and false leave one out. */
export const h = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);

/** Make an SVG element in the same way. */
export const svg = (tag, attributes, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Split words at their backticks: what lies between two is code. */
export const spoken = (words) => words.split("`").map((part, k) => (k % 2 ? h("code", {}, part) : part));

/** Set custom properties, which a style attribute may not do under the page's policy. */
export function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

/** Tell whether an address is somebody else's: it is shown as a link, and never fetched. */
export function isElsewhere(href) {
  if (!URL.canParse(href, location.href)) return true;
  const { protocol, host } = new URL(href, location.href);
  return protocol !== "data:" && (protocol !== location.protocol || host !== location.host);
}

/** Return the address if it may be followed: on the web, beside this page, or a picture within it. */
export function linkable(href) {
  if (!href || !URL.canParse(href, location.href)) return null;
  const url = new URL(href, location.href);
  const isPicture = url.protocol === "data:" && url.pathname.startsWith("image/");
  return isPicture || ["https:", "http:", location.protocol].includes(url.protocol) ? href : null;
}

const ICONS = {
  open: "M9 3H3v6M15 3h6v6M9 21H3v-6M15 21h6v-6",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  save: "M12 3v12M7 11l5 5 5-5M4 21h16",
  close: "M5 5l14 14M19 5L5 19",
  previous: "M15 4l-8 8 8 8",
  next: "M9 4l8 8-8 8",
  up: "M12 20V5M6 11l6-6 6 6",
  down: "M12 4v15M6 13l6 6 6-6",
};

/** Draw a small picture that says nothing a label does not say. */
export const icon = (name) =>
  svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

/** Run `action` at most once a frame, however often the returned function is called. */
export function onceAFrame(action) {
  let frame = 0;
  return () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      action();
    });
  };
}
