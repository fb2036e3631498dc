/** Colours keep 4.5:1 contrast on both grounds; blue, orange and teal also differ in lightness. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#fff;--ink:#1b2430;--soft:#5a6675;--line:#dfe4ea;--panel:#f5f7fa;--fed:#1f5fd0;--local:#b4560f;--pooled:#0d7a6f;--drop:#b3261e}
@media(prefers-color-scheme:dark){:root{--ground:#12171e;--ink:#e8edf3;--soft:#a3afbd;--line:#2c3642;--panel:#1a212a;--fed:#7aa7ff;--local:#f0a15a;--pooled:#5cc9bb;--drop:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem}
h2{font-size:1.25rem;margin:0 0 .75rem}
.lead{font-size:1.1rem;color:var(--soft);max-width:44rem;margin:0 0 1.5rem}
.cards{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:.75rem;padding:0;margin:0 0 2rem}
.cards li{background:var(--panel);border:1px solid var(--line);border-radius:.6rem;padding:.9rem 1rem;display:flex;flex-direction:column}
.cards span,.cards small{color:var(--soft)}
.cards strong{font-size:1.7rem;line-height:1.3}
section{border-top:1px solid var(--line);padding:1.75rem 0 .5rem}
figure{margin:0;overflow-x:auto}
svg{width:100%;min-width:36rem;height:auto;font:13px system-ui,"DejaVu Sans",sans-serif;fill:var(--soft)}
svg .strong{fill:var(--ink);font-weight:600}
svg .small{font-size:11.5px}
.grid{stroke:var(--line)}
path.federated{fill:none;stroke:var(--fed);stroke-width:2.5}
.dot,.bar.federated{fill:var(--fed)}
line.local,line.pooled,.drop{stroke-dasharray:5 4;stroke-width:1.5}
line.local{stroke:var(--local)}line.pooled{stroke:var(--pooled)}.drop{stroke:var(--drop)}
.local-text,.bar.local{fill:var(--local)}.pooled-text,.bar.pooled{fill:var(--pooled)}.drop-text{fill:var(--drop)}
.took{fill:var(--fed);opacity:.75}.lost{fill:none;stroke:var(--drop);stroke-dasharray:4 3}.rebuilt{fill:none;stroke:var(--fed);stroke-dasharray:4 3}.absent{fill:var(--line);opacity:.5}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums}
details{margin:.5rem 0 1rem;overflow-x:auto}summary{cursor:pointer;color:var(--fed);padding:.3rem 0}
pre{background:var(--panel);border:1px solid var(--line);border-radius:.5rem;padding:.8rem;overflow-x:auto}
`;
