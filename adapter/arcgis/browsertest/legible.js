// What is wrong with the looks of the page: texts with less contrast than WCAG asks
// for at level AA, borders of fields that are not seen, fields and buttons too small
// for a finger, and a page that is wider than the screen.
(() => {
  const faults = [];
  const channels = (color) => {
    const c = color.match(/[\d.]+/g).map(Number);
    return {rgb: c.slice(0, 3), alpha: c.length > 3 ? c[3] : 1};
  };
  const over = (front, back) => front.rgb.map((x, i) => x * front.alpha + back[i] * (1 - front.alpha));
  const behind = (e) => {
    if (!e) return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
    const own = channels(getComputedStyle(e).backgroundColor);
    return own.alpha === 1 ? own.rgb : over(own, behind(e.parentElement));
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((x) => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (color, back, opacity = 1) => {
    const front = channels(color);
    front.alpha *= opacity;
    const [dark, light] = [luminance(over(front, back)), luminance(back)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const opacity = (e) => (e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1);
  const shown = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility === 'visible';
  const say = (e, what) => faults.push(`${e.tagName.toLowerCase()} "${(e.innerText || e.value || e.id || '').slice(0, 40)}": ${what}`);

  for (const e of document.body.querySelectorAll('*')) {
    if (!shown(e)) continue;
    const style = getComputedStyle(e);
    const field = e.matches('input:not([type=hidden]), select, textarea');
    if (field || [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim())) {
      const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
      const need = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
      const ratio = contrast(style.color, behind(e), opacity(e));
      if (ratio < need) say(e, `contrast ${ratio.toFixed(2)}`);
      if (size < 12) say(e, `text of ${size} pixels`);
    }
    if (field) {
      const ratio = contrast(style.borderTopColor, behind(e.parentElement));
      if (ratio < 3) say(e, `contrast of its border ${ratio.toFixed(2)}`);
    }
    if (field || e.matches('button, .links a')) {
      const box = e.getBoundingClientRect();
      if (box.height < 40) say(e, `${box.height} pixels high`);
    }
  }
  const {scrollWidth, clientWidth} = document.documentElement;
  if (scrollWidth > clientWidth) faults.push(`${location.pathname}: ${scrollWidth} pixels wide on ${clientWidth}`);
  return faults;
})()
