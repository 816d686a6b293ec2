/** How the page looks, and the one thing that moves on it. */

export const style = `
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1d2126; --soft: #5b6470; --line: #e2e4e6; --shade: #f3f4f3; --accent: #1f6fc4; --bad: #b3381f; --good: #1c7a54; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e4e7ea; --soft: #99a2ad; --line: #2d333a; --shade: #1d2126; --accent: #6db1f5; --bad: #f08a70; --good: #5fc798; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
header, main { max-width: 1120px; margin: 0 auto; padding: 0 clamp(16px, 4vw, 40px); }
header { padding-top: clamp(28px, 6vw, 64px); }
.kicker { margin: 0; color: var(--soft); font-size: .8rem; letter-spacing: .14em; text-transform: uppercase; }
h1 { margin: .1em 0 .4em; font-size: clamp(1.9rem, 5vw, 2.9rem); line-height: 1.1; letter-spacing: -.02em; font-weight: 680; }
h2 { margin: 0 0 .8em; font-size: 1.45rem; letter-spacing: -.01em; font-weight: 640; }
h3 { margin: 2em 0 .4em; font-size: 1.05rem; font-weight: 640; overflow-wrap: anywhere; }
h4 { margin: 1.4em 0 .5em; font-size: .9rem; font-weight: 600; color: var(--soft); overflow-wrap: anywhere; }
h2 + h3 { margin-top: 0; }
.lead { max-width: 46rem; font-size: 1.15rem; line-height: 1.5; margin: 0 0 1.4rem; }
p { max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; padding: .7rem 0; border-block: 1px solid var(--line); font-size: .92rem; }
a { color: var(--accent); text-decoration: none; } a:hover, a:focus-visible { text-decoration: underline; }
section { padding: 2.6rem 0 1rem; border-bottom: 1px solid var(--line); } section:last-child { border: 0; padding-bottom: 5rem; }
.aside, figcaption { color: var(--soft); font-size: .86rem; }
figure { margin: 0; }
.table { margin: 1.2rem 0 1.8rem; } .table figcaption { margin-top: .5rem; max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums lining-nums; min-width: 100%; }
caption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
th, td { padding: .42rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); font-weight: 400; }
td small { color: var(--soft); font-size: .8em; }
thead th { color: var(--soft); font-size: .8rem; border-bottom-color: var(--soft); vertical-align: bottom; }
th.words, td.words, th:first-child { text-align: left; } td.words { white-space: normal; min-width: 9rem; max-width: 24rem; }
th:first-child { position: sticky; left: 0; background: var(--paper); padding-left: 0; }
tbody th { font-weight: 560; }
tr.input > *, tr.input > th:first-child { background: var(--shade); } tr.input th { padding-left: .5rem; }
tr.best > * { font-weight: 680; } tr.best .gain { color: var(--good); }
tr.below .gain, tr.below td:last-child { color: var(--bad); }
tr.published > * { color: var(--soft); font-style: italic; } tr.published th { font-weight: 400; padding-left: 1rem; }
.warning { border-left: 3px solid var(--bad); padding: .4rem 1rem; background: var(--shade); max-width: 46rem; } .warning ul { margin: .3rem 0; padding-left: 1.1rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; list-style: none; margin: 0 0 1.2rem; padding: 0; font-size: .9rem; }
.swatch { display: inline-block; width: 1.3em; height: 3px; border-radius: 2px; margin-right: .5em; vertical-align: middle; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); gap: 1.6rem 2rem; }
.charts svg { display: block; width: 100%; max-width: 460px; height: auto; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(44%, 240px), 1fr)); gap: .9rem; }
.pictures figcaption { margin-top: .3rem; line-height: 1.3; color: var(--ink); overflow-wrap: anywhere; } .pictures small { display: block; color: var(--soft); font-size: .82rem; font-variant-numeric: tabular-nums; }
.lens { display: block; overflow: hidden; border-radius: 4px; background: var(--shade); cursor: zoom-in; touch-action: manipulation; }
.lens img { display: block; width: 100%; height: auto; transform-origin: var(--x, 50%) var(--y, 50%); }
.pictures.near .lens img { transform: scale(3); image-rendering: pixelated; } .pictures.near .lens { cursor: zoom-out; }
pre { overflow-x: auto; background: var(--shade); border-radius: 6px; padding: .9rem 1.1rem; font: .82rem/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; color: var(--accent); }
dl { display: grid; grid-template-columns: minmax(9rem, auto) 1fr; gap: .5rem 1.4rem; font-size: .9rem; } dt { font-weight: 560; overflow-wrap: anywhere; } dd { margin: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 640px) { body { font-size: 15px; } dl { grid-template-columns: 1fr; gap: .2rem; } dd { margin-bottom: .7rem; } th, td { padding-inline: .5rem; } th:first-child { max-width: 44vw; white-space: normal; overflow-wrap: anywhere; min-width: 7.5rem; } }
@media print { nav, script { display: none; } .scroll { overflow: visible; } section { break-inside: avoid-page; } }
`;

/** Enlarges the same place in all pictures of a row: under the mouse, where one taps, or at the centre by the Enter key. */
export const script = `
for (const row of document.querySelectorAll('.pictures')) {
  const place = (event, image) => {
    const box = image.parentElement.getBoundingClientRect();
    row.style.setProperty('--x', 100 * (event.clientX - box.left) / box.width + '%');
    row.style.setProperty('--y', 100 * (event.clientY - box.top) / box.height + '%');
  };
  const imageOf = (event) => event.target.closest('.lens')?.firstElementChild;
  row.addEventListener('pointermove', (event) => {
    const image = event.pointerType === 'mouse' && imageOf(event);
    row.classList.toggle('near', Boolean(image));
    if (image) place(event, image);
  });
  row.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') row.classList.remove('near'); });
  row.addEventListener('pointerup', (event) => {
    const image = event.pointerType !== 'mouse' && imageOf(event);
    if (!image) return;
    place(event, image);
    row.classList.toggle('near');
  });
  row.addEventListener('keydown', (event) => { if (event.key === 'Enter') row.classList.toggle('near'); });
}
`;
