// Sets the remembered theme before the first paint, so that a page in dark
// never flashes white. Without a remembered one the system's choice holds.
(function () {
  try {
    const theme = JSON.parse(localStorage.getItem("shortlist.theme"));
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage can be switched off in a browser; the page works without it.
  }
})();
