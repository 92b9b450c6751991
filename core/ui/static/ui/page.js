// What the keyboard and a list's head can do besides. Every page works without it: each of these is a link or a box too.

const keys = document.getElementById("hotkeys"); // absent when someone switched the shortcuts off
const box = document.getElementById("find");
const PATIENCE = 1500; // milliseconds between the two letters of one shortcut
let first = "";
let since = 0;

const isTyping = (target) => target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);

function goToSearch() {
  const menu = document.getElementById("nav");
  if (!box.checkVisibility()) menu.showPopover();
  box.select();
  box.focus();
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const both = event.timeStamp - since < PATIENCE ? `${first} ${event.key}` : "";
  const place = both && keys.querySelector(`a[data-keys="${CSS.escape(both)}"]`);
  first = event.key;
  since = event.timeStamp;
  if (place) {
    first = "";
    place.click();
  } else if (event.key === "/") goToSearch();
  else if (event.key === "?") keys.showModal();
  else return;
  event.preventDefault();
}

// The box in a list's head chooses every row of the page. Without this it is not shown.
function chooseAll(event) {
  if (!event.target.matches("[data-all]")) return;
  const boxes = document.querySelectorAll(`[name=chosen][form=${event.target.dataset.all}]`);
  for (const each of boxes) each.checked = event.target.checked;
}

const showBoxes = () => document.querySelectorAll("[data-all]").forEach((each) => (each.hidden = false));

if (keys) document.addEventListener("keydown", press);
document.addEventListener("change", chooseAll);
document.addEventListener("htmx:afterSettle", showBoxes);
showBoxes();
