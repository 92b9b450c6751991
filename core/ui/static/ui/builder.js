// The numbers of a group's draft, while its rules are edited: every change asks anew and gives up the older question.
// The answer comes in lines of JSON, {target, html}, and each is shown as it arrives. Without this the page has a button.

const form = document.getElementById("builder");
const PAUSE = 250; // milliseconds without a key before the question is asked
let running = null;
let waiting = 0;

function show(line) {
  if (!line.trim()) return;
  const { target, html } = JSON.parse(line);
  const place = document.querySelector(target);
  if (place) place.innerHTML = html;
}

async function ask() {
  running?.abort();
  const asking = (running = new AbortController());
  const live = document.getElementById("live");
  live.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.count, { method: "POST", body: new FormData(form), signal: asking.signal });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await lines.read(); !part.done; part = await lines.read()) {
      const whole = (rest + part.value).split("\n");
      rest = whole.pop();
      if (asking === running) whole.forEach(show);
    }
  } catch (error) {
    if (error.name !== "AbortError" && asking === running) {
      live.textContent = form.dataset.failed;
    }
  }
  if (asking === running) live.removeAttribute("aria-busy");
}

function askSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(ask, PAUSE);
}

form.addEventListener("input", (event) => event.target.name !== "name" && askSoon());
document.body.addEventListener("htmx:afterSettle", askSoon);
document.getElementById("count").hidden = true;
ask();
