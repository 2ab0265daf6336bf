// Before the first paint, so that nobody sees the other theme for a moment.
(function () {
  var theme = "";
  try {
    theme = localStorage.getItem("gpuq.theme") || "";
  } catch {
    // Storage may be switched off; then the system's theme is taken.
  }
  if (theme !== "dark" && theme !== "light")
    theme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
})();
