// A grid of any length, of which only the part in sight is in the page.

import { onceAFrame, styled } from "./dom.js";

const LEAST_WIDTH = 264; // a card's, px
const GAP = 20;
const ABOUT = 84; // the height of a card below its picture, px
const BEYOND = 1; // rows of cards above and below the window
const PRINTED = 200; // cards

export class Grid {
  /** `list` is the element that holds the cards, `make(row)` makes one. */
  constructor(list, make) {
    this.list = list;
    this.make = make;
    this.rows = [];
    this.isPrinting = false;
    this.cards = new Map();
    this.columns = 1;
    this.pitch = 1;
    this.place = onceAFrame(() => this.draw());
    this.fit = onceAFrame(() => this.measure());
    new ResizeObserver(() => list.parentElement.clientWidth !== this.wide && this.fit()).observe(list.parentElement);
    addEventListener("scroll", this.place, { passive: true });
    addEventListener("resize", this.place, { passive: true });
    addEventListener("beforeprint", () => this.print());
    addEventListener("afterprint", () => {
      this.isPrinting = false;
      this.measure();
    });
  }

  /** Show these rows from now on. */
  show(rows) {
    this.rows = rows;
    this.measure();
  }

  /** Fit the columns into the width there is; what was at the window's top stays there. */
  measure() {
    if (this.isPrinting) return;
    const [pitch, first] = [this.pitch, this.first()];
    const width = (this.wide = this.list.parentElement.clientWidth);
    this.columns = Math.max(1, Math.floor((width + GAP) / (LEAST_WIDTH + GAP)));
    this.width = (width - GAP * (this.columns - 1)) / this.columns;
    const picture = Math.round(this.width * 0.75);
    this.pitch = picture + ABOUT + GAP;
    styled(this.list, {
      "--card": `${this.width}px`,
      "--picture": `${picture}px`,
      "--about": `${ABOUT}px`,
      height: `${Math.max(0, Math.ceil(this.rows.length / this.columns) * this.pitch - GAP)}px`,
    });
    if (first && pitch !== this.pitch) {
      const top = this.list.getBoundingClientRect().top + Math.floor(first / this.columns) * this.pitch;
      scrollBy({ top, behavior: "instant" });
    }
    this.draw();
  }

  /** Return the place of the first item that is below the window's top. */
  first() {
    return Math.floor(Math.max(0, -this.list.getBoundingClientRect().top) / this.pitch) * this.columns;
  }

  range() {
    const top = this.list.getBoundingClientRect().top;
    const from = Math.floor(-top / this.pitch) - BEYOND;
    const to = Math.ceil((innerHeight - top) / this.pitch) + BEYOND;
    const clamp = (line) => Math.min(this.rows.length, Math.max(0, line * this.columns));
    return [clamp(from), clamp(to)];
  }

  /** Put the cards in sight into the page, in order, and take the others out of it. */
  draw() {
    if (this.isPrinting) return;
    const [from, to] = this.range();
    const shown = this.rows.slice(from, to);
    const wanted = new Set(shown);
    for (const [row, card] of this.cards) {
      if (wanted.has(row) || (card.contains(document.activeElement) && this.rows.includes(row))) continue;
      card.remove();
      this.cards.delete(row);
    }
    let after = null;
    shown.forEach((row, k) => {
      after = this.put(row, from + k, after);
    });
  }

  put(row, place, after) {
    let card = this.cards.get(row);
    if (!card) {
      card = this.make(row);
      this.cards.set(row, card);
    }
    const [line, column] = [Math.floor(place / this.columns), place % this.columns];
    card.setAttribute("aria-posinset", place + 1);
    card.setAttribute("aria-setsize", this.rows.length);
    styled(card, { transform: `translate(${column * (this.width + GAP)}px, ${line * this.pitch}px)` });
    const next = after ? after.nextSibling : this.list.firstChild;
    if (card === next) return card;
    if (card.isConnected && this.list.moveBefore) this.list.moveBefore(card, next); // keeps the focus
    else this.list.insertBefore(card, next);
    return card;
  }

  /** Lay out what fits on a reasonable number of sheets, one card after another. */
  print() {
    this.isPrinting = true;
    let after = null;
    this.rows.slice(0, PRINTED).forEach((row, k) => {
      after = this.put(row, k, after);
    });
  }
}
