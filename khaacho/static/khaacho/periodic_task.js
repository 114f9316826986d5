// Says in words what the chosen crontab of a periodic task means.
"use strict";
(() => {
  const words = JSON.parse(document.getElementById("readable-crontabs").textContent || "{}");
  const field = document.querySelector(".field-crontab");
  const choice = document.getElementById("id_crontab");
  document.querySelector(".field-crontab_translation")?.setAttribute("hidden", "");
  if (!field || !choice) return;
  const line = document.createElement("div");
  line.className = "help";
  field.append(line);
  const say = () => { line.textContent = words[choice.value] ?? ""; };
  choice.addEventListener("change", say);
  window.django.jQuery(choice).on("change", say); // which the window of a new crontab calls
  say();
})();
