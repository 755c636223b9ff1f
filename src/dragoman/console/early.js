// Runs before the page is drawn: a theme that was chosen must not flash the other one.
(() => {
  try {
    const theme = localStorage.getItem("dragoman.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is closed to this page: the system's theme it is.
  }
})();
