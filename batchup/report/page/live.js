// A run as it goes on: what the program that serves this page says, as it says it.

import { $, h, styled } from "./dom.js";
import { count, duration, figure, money } from "./words.js";

const KINDS = ["status", "rows", "plots", "document"];

export class Live {
  /** `heard(kind, data)` is called for each message of the server. */
  constructor(section, heard, { can_stop }) {
    this.section = section;
    this.heard = heard;
    this.isStopping = false;
    this.isOver = false;
    $("#stop").hidden = !can_stop;
    $("#stop").addEventListener("click", () => $("#stop-dialog").showModal());
    $("#stop-dialog").addEventListener("close", ({ target }) => target.returnValue === "stop" && this.stop());
  }

  connect() {
    this.source = new EventSource("events");
    this.source.addEventListener("open", () => this.say("live"));
    this.source.addEventListener("error", () => this.lost());
    this.source.addEventListener("end", () => this.leave());
    for (const kind of KINDS) {
      this.source.addEventListener(kind, ({ data }) => this.take(kind, JSON.parse(data)));
    }
  }

  take(kind, data) {
    if (kind === "status") this.draw(data);
    this.heard(kind, data);
  }

  lost() {
    const isClosed = this.source.readyState === EventSource.CLOSED;
    if (this.isOver) this.leave();
    else this.say(isClosed ? "disconnected" : "reconnecting…");
  }

  /** The run has ended: its last figures may still come, and a lost connection is lost. */
  end() {
    this.isOver = true;
    this.section.hidden = true;
    this.say("ended");
  }

  /** Another run has begun. */
  goOn() {
    this.isOver = false;
    this.drawStop(false);
    this.say("live");
  }

  /** The server has said its last word: what it served is not to be had from it any more. */
  leave() {
    this.source.close();
    this.section.hidden = true;
    $("#zip").hidden = true;
    this.say(this.isOver ? "ended: report.html has it all" : "disconnected");
  }

  say(words) {
    const badge = $("#connection");
    badge.hidden = false;
    badge.textContent = words;
    badge.dataset.is = words.replace("…", "");
  }

  async stop() {
    this.drawStop(true);
    const answer = await fetch("stop", { method: "POST" }).catch(() => null);
    if (answer?.ok) return;
    this.drawStop(false);
    const words = await answer?.text().catch(() => "");
    $("#stop-note").textContent = words?.trim() || "The run cannot be reached; press Ctrl-C in its terminal.";
  }

  drawStop(isStopping) {
    if (isStopping === this.isStopping) return;
    this.isStopping = isStopping;
    $("#stop").disabled = this.isStopping;
    $("#stop-note").textContent = this.isStopping ? "Stopping: what is in flight is finished, nothing new is begun." : "";
  }

  /** Draw what `status.json` says. */
  draw(status) {
    if (!status.is_running) return this.end();
    if (this.isOver) this.goOn();
    const { now } = status;
    this.section.hidden = false;
    if (now.is_stopping) this.drawStop(true);
    drawProgress(now);
    $("#note").hidden = !now.note;
    $("#note").textContent = now.note ?? "";
    $("#gauges").replaceChildren(...gauges(now));
    drawFlights(status.running ?? now.running ?? []);
    return undefined;
  }
}

function drawProgress(now) {
  const done = now.saved + now.failed + now.held + now.rejected;
  const goal = now.goal ?? now.total;
  const all = now.total != null && goal !== now.total ? ` (of ${count(now.total)} in all)` : "";
  const percent = goal ? Math.min(100, (100 * done) / goal) : 0;
  const bar = $("#progress");
  bar.setAttribute("aria-valuenow", Math.round(percent));
  styled(bar, { "--part": `${percent}%` });
  $("#progress-words").textContent = [
    goal == null ? `${count(done)} done` : `${count(done)} of ${count(goal)}${all}`,
    goal ? `${Math.floor(percent)} %` : null,
    now.eta_s == null ? null : `about ${duration(now.eta_s)} left`,
    now.plan?.left ? `${count(now.plan.left)} are left to later nights` : null,
    `${figure(now.per_minute)} a minute`,
    now.next_poll_s == null ? null : `next look in ${duration(now.next_poll_s)}`,
  ].filter(Boolean).join(" · ");
}

function gauges(now) {
  return [
    gauge("Requests in the last minute", now.requests_last_minute, now.rate_limit, count),
    gauge("Slots in use", now.in_flight, now.concurrency, count),
    gauge("Spent", now.job_spend_usd, now.max_spend_usd, money),
    gauge("Being saved", now.saving, null, count),
  ];
}

function gauge(label, value, limit, say) {
  const words = limit == null ? say(value) : `${say(value)} of ${say(limit)}`;
  const bar = limit == null ? null : styled(h("span", { class: "bar" }), {
    "--part": `${Math.min(100, (100 * value) / (limit || 1))}%`,
  });
  return h("div", { class: "gauge" }, h("dt", {}, label), h("dd", {}, words), bar && h("dd", { "aria-hidden": "true" }, bar));
}

function drawFlights(running) {
  $("#flights-title").textContent = running.length ? `In flight, ${count(running.length)}` : "Nothing in flight";
  $("#flights").replaceChildren(...running.map(({ id, attempt, age_s, expected_s, is_overdue }) => {
    const part = expected_s == null ? 100 : (100 * age_s) / (age_s + Math.max(expected_s, 0) || 1);
    const rest = is_overdue ? "overdue" : expected_s == null ? null : expected_s > 0 ? `about ${duration(expected_s)} to go` : "any moment";
    return h("li", { class: is_overdue ? "flight is-overdue" : "flight" },
      h("span", { class: "flight-id", title: id }, id),
      styled(h("span", { class: "bar", "aria-hidden": "true" }), { "--part": `${part}%` }),
      h("span", { class: "soft" }, [duration(age_s), rest, attempt > 1 ? `attempt ${attempt}` : null].filter(Boolean).join(", ")));
  }));
}
