// Takes up the chosen theme before anything is drawn; without a choice the system's holds.
try {
  const theme = localStorage.getItem("batchup-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // a page without storage follows the system
}
