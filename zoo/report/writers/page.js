"use strict";
// Ascending, descending, then as it was. Rows move within their block; what has no value stays at its end.
function sort(head, position) {
  const order = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
  const table = head.closest("table");
  table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  if (order) head.setAttribute("aria-sort", order);
  const value = (row) => row.cells[position].dataset.value;
  const numeric = head.classList.contains("number");
  const absent = (text) => (numeric ? Number.isNaN(parseFloat(text)) : text === "");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("data"));
    rows.forEach((row, place) => { row.dataset.place ??= place; });
    rows.sort((first, second) => {
      const [a, b] = [value(first), value(second)];
      if (!order) return first.dataset.place - second.dataset.place;
      if (absent(a) || absent(b)) return absent(a) - absent(b);
      return (numeric ? a - b : a.localeCompare(b)) * (order === "descending" ? -1 : 1);
    });
    body.append(...rows);
  }
}
document.querySelectorAll("th button").forEach((button) => {
  const head = button.parentElement;
  const heads = [...head.closest("thead").querySelectorAll("th:not([colspan])")];
  button.addEventListener("click", () => sort(head, heads.indexOf(head)));
});

const theme = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const dark = () => (root.style.colorScheme || (system.matches ? "dark" : "light")) === "dark";
const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
theme.addEventListener("click", () => { root.style.colorScheme = dark() ? "light" : "dark"; label(); });
system.addEventListener("change", label);
label();
