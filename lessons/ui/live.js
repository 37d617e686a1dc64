// The page's side of lessons/ui/live.py. Runs once for each view of a live chart; `image` is an
// element inside the view; live.py defines LIBRARY_VERSION, HEARTBEAT_SECONDS and DROP_SECONDS.
const start = tries => {
  const root = image.closest(".ks-live");
  const part = name => root.querySelector(".ks-live-" + name);
  const parts = ["chart", "library", "item", "patch", "hello", "ask"];
  if (!root || !parts.every(part)) {  // the view is not complete yet
    if (tries > 0) setTimeout(start, 50, tries - 1);
    return;
  }
  if (root.dataset.started) return;
  root.dataset.started = "yes";

  let chart = null, embedding = false, serials = {}, visible = false, heartbeat = 0, removal = 0;
  const bokeh = () => [window.Bokeh, window.Bokeh?.[LIBRARY_VERSION]].find(
    each => each?.version === LIBRARY_VERSION);
  const press = name => {
    const dead = root.classList.contains("jupyter-widgets-disconnected");
    if (root.isConnected && !dead) part(name).click();
  };

  // BokehJS comes from the kernel, when this page does not have it yet.
  const load = () => {
    if (bokeh()) return true;
    const source = part("library").textContent;
    if (!source) {
      press("ask");
      return false;
    }
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    script.remove();
    return Boolean(bokeh());
  };
  const embed = async () => {
    if (chart || embedding || !root.isConnected || !load()) return;
    embedding = true;
    try {
      const item = JSON.parse(part("item").textContent);
      await bokeh().embed.embed_item(item, part("chart"));
      chart = Array.from(bokeh().documents).reverse().find(
        each => each.roots().some(model => model.id === item.root_id));
      serials = {};
      patch();
      nameControls();
    } finally {
      embedding = false;
    }
  };
  // Names for screen readers, which ipywidgets and Bokeh leave out; a figure is no tab stop.
  const nameControls = () => {
    const panel = root.closest(".ks-cockpit") || root;
    const each = (selector, act, parent = panel) => parent.querySelectorAll(selector).forEach(act);
    each(".ks-number, .widget-slider", row => {
      const label = row.querySelector(".widget-label")?.textContent;
      if (!label) return;
      each(".noUi-handle, input", part => part.setAttribute("aria-label", label), row);
    });
    each(".widget-toggle-button", button => button.setAttribute(
      "aria-pressed", button.classList.contains("mod-active")));
    const unfocus = parent => each("*", element => {
      if (element.tabIndex >= 0) element.tabIndex = -1;
      if (element.shadowRoot) unfocus(element.shadowRoot);
    }, parent);
    if (part("chart")) unfocus(part("chart"));
  };
  // The keys of a control are not JupyterLab's shortcuts; those with Ctrl, Alt or Meta still are.
  if (!window.kubesimKeys) {
    window.kubesimKeys = event => {
      if (!event.target.closest?.(".ks-cockpit")) return;
      const plain = !(event.ctrlKey || event.altKey || event.metaKey);
      event.target.toggleAttribute("data-lm-suppress-shortcuts", plain);
    };
    window.addEventListener("keydown", window.kubesimKeys, true);
  }
  const patch = () => {
    const text = part("patch").textContent;
    if (!chart || !text) return;
    const events = [];
    for (const [key, [serial, event]] of Object.entries(JSON.parse(text))) {
      if (serials[key] !== serial) events.push(event);
      serials[key] = serial;
    }
    if (events.length) chart.apply_json_patch({events});
  };
  const drop = () => {  // the view was removed from the page: free the chart
    if (root.isConnected || !chart) return;
    const index = bokeh().documents.indexOf(chart);
    if (index >= 0) bokeh().documents.splice(index, 1);
    chart.clear();
    chart = null;
    part("chart")?.replaceChildren();  // the view's parts may be gone already
  };

  // Tell the kernel that somebody looks: at once, and then again and again.
  const beat = () => {
    if (!visible || document.visibilityState !== "visible") return;
    embed();
    nameControls();
    press("hello");
  };
  new IntersectionObserver(entries => {
    visible = entries.at(-1).isIntersecting;
    clearInterval(heartbeat);
    clearTimeout(removal);
    document.removeEventListener("visibilitychange", beat);
    if (visible) {
      heartbeat = setInterval(beat, HEARTBEAT_SECONDS * 1000);
      document.addEventListener("visibilitychange", beat);
      beat();
    } else {
      removal = setTimeout(drop, DROP_SECONDS * 1000);
    }
  }).observe(root.closest(".ks-cockpit") || root);
  new MutationObserver(nameControls).observe(
    root.closest(".ks-cockpit") || root, {attributeFilter: ["class"], subtree: true});
  const changes = {childList: true, characterData: true, subtree: true};
  new MutationObserver(embed).observe(part("library"), changes);
  new MutationObserver(patch).observe(part("patch"), changes);
  embed();
};
start(2400);
