"use strict";
// The live tail. Every text of an event goes into the page as a text node, never as markup.

(function liveTail() {
  const root = document.querySelector("[data-live]");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-${name}]`);
  const body = root.querySelector("tbody");
  const toggle = part("toggle");
  const told = part("told");
  const counted = part("count");
  const announced = part("announced");
  const signIn = part("sign-in");
  const mostRows = Number(root.dataset.mostRows);
  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: root.dataset.zone, hourCycle: "h23", fractionalSecondDigits: 3,
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  // The same characters as query/web/texts.py makes visible.
  const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/u;
  const controls = root.dataset.controls.split(" ");
  const announceEveryMs = 10000;
  const againAfterMs = 5000;

  let source = null;
  let timer = 0;
  let position = root.dataset.position;
  let paused = false;
  let received = 0;
  let unannounced = 0;
  const shown = new Set([...body.rows].map((row) => row.dataset.place));

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function mark(character) {
    const code = character.codePointAt(0);
    const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    const shown = code === 0x7f ? controls[0x20] : code < 0x20 ? controls[code] : name;
    return element("span", { class: "control", title: name }, shown);
  }

  function text(value) {
    if (value === null || value === undefined || value === "") return element("span", { class: "none" }, "\u2014");
    const made = element("bdi", {});
    let plain = "";
    for (const character of String(value)) {
      if (character !== "\n" && character !== "\t" && invisible.test(character)) {
        made.append(plain, mark(character));
        plain = "";
      } else {
        plain += character;
      }
    }
    made.append(plain);
    return made;
  }

  function time(iso) {
    const parts = Object.fromEntries(clock.formatToParts(new Date(iso)).map((p) => [p.type, p.value]));
    const day = `${parts.year}-${parts.month}-${parts.day}`;
    const written = `${day} ${parts.hour}:${parts.minute}:${parts.second}.${parts.fractionalSecond}`;
    return element("time", { datetime: iso, title: iso }, written);
  }

  function actor(event) {
    const name = text(event.actor_name || event.actor_login || event.actor_id);
    if (!event.actor_id || !event.tenant_id) return name;
    const path = [event.tenant_id, event.actor_id].map(encodeURIComponent).join("/");
    return element("a", { href: `/actors/${path}` }, name);
  }

  function row(event, place) {
    const cell = (...children) => element("td", {}, ...children);
    const words = text(event.outcome.replace(/[_.]/g, " "));
    const from = event.geo_country ? [text(event.ip), " ", text(event.geo_country)] : [text(event.ip)];
    const type = event.target_type ? [text(event.target_type), " "] : [];
    return element(
      "tr", { "data-place": place },
      cell(time(event.occurred_at)),
      element("td", { class: "wide" }, element("a", { href: `/events/${encodeURIComponent(event.event_id)}` }, text(event.title))),
      cell(actor(event)),
      cell(...from),
      cell(...type, text(event.target_name || event.target_id)),
      cell(element("span", { class: `badge outcome-${event.outcome.toLowerCase()}` }, words)),
    );
  }

  function show(events) {
    const made = [];
    for (const event of events) {
      const place = `${event.kafka_topic_id}/${event.kafka_partition}/${event.kafka_offset}`;
      if (shown.has(place)) continue;
      shown.add(place);
      made.unshift(row(event, place));
      received += 1;
      unannounced += 1;
    }
    body.prepend(...made.slice(0, mostRows));
    while (body.rows.length > mostRows) {
      shown.delete(body.rows[body.rows.length - 1].dataset.place);
      body.deleteRow(-1);
    }
    counted.textContent = `${received} ${received === 1 ? "event" : "events"} received`;
  }

  function tell(state, words) {
    told.dataset.state = state;
    told.textContent = words;
  }

  function say(words) {
    announced.textContent = words;
  }

  function follow(caughtUp) {
    if (caughtUp) tell("live", "up to date");
    else tell("behind", "behind: events that arrived earlier are still coming");
  }

  function heard(message) {
    position = message.lastEventId || position;
    return JSON.parse(message.data);
  }

  function end(words, mustSignIn) {
    close();
    paused = true;
    toggle.textContent = "Go on";
    signIn.hidden = !mustSignIn;
    tell("ended", words);
    say(words);
  }

  // What a stream that was refused does not tell the script, a plain request does.
  async function refused() {
    close();
    try {
      const answer = await fetch(address({ wait_s: "0", limit: "1" }), { headers: { Accept: "application/json" } });
      if (answer.status < 500 && answer.status !== 429 && !answer.ok) {
        const problem = await answer.json();
        end(problem.detail, answer.status === 401);
        return;
      }
    } catch {
      // The server is away; it is asked again below.
    }
    if (paused) return;
    tell("waiting", "no connection; trying again, nothing is missed");
    timer = setTimeout(open, againAfterMs);
  }

  function address(more) {
    const url = new URL(root.dataset.stream, location.href);
    url.searchParams.set("position", position);
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    return url;
  }

  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }

  function open() {
    close();
    const opened = new EventSource(address({}));
    let looked = false;
    source = opened;
    opened.addEventListener("position", (message) => {
      const data = heard(message);
      // The first message comes before the server has looked whether there is anything.
      if (looked || data.caught_up) follow(data.caught_up);
      looked = true;
    });
    opened.addEventListener("events", (message) => {
      const data = heard(message);
      show(data.data);
      follow(data.caught_up);
    });
    opened.addEventListener("problem", (message) => {
      const problem = JSON.parse(message.data);
      end(problem.detail, problem.status === 401);
    });
    opened.addEventListener("error", () => {
      if (source !== opened) return;
      if (opened.readyState === EventSource.CLOSED) refused();
      else tell("waiting", "no connection; trying again, nothing is missed");
    });
  }

  function pause() {
    paused = true;
    close();
    toggle.textContent = "Go on";
    tell("paused", "paused; going on shows everything since");
    say("Paused");
  }

  function resume() {
    paused = false;
    toggle.textContent = "Pause";
    signIn.hidden = true;
    tell("waiting", "connecting");
    say("Following again");
    open();
  }

  // Those who listen hear numbers now and then, not every row.
  setInterval(() => {
    if (!unannounced) return;
    say(`${unannounced} new ${unannounced === 1 ? "event" : "events"}`);
    unannounced = 0;
  }, announceEveryMs);

  toggle.addEventListener("click", () => (paused ? resume() : pause()));
  for (const scripted of [toggle, told, counted]) scripted.hidden = false;
  document.querySelector("[data-without-scripts]").hidden = true;
  open();
})();
