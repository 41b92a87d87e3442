/** The report's own style: no file beside it, nothing fetched. Light and dark as the reader's system is, black on white on paper. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#17202a;--soft:#5b6875;--line:#dfe4ea;--ok:#157a4a;--ok-bg:#e6f5ec;--bad:#b3261e;--bad-bg:#fcebe9;--open:#8a5a00;--open-bg:#fdf3dc;--bar:#3565c4;--code:#eef1f5}
@media (prefers-color-scheme:dark){:root{--bg:#0f1419;--card:#171e26;--ink:#e6ebf0;--soft:#98a5b3;--line:#2a343f;--ok:#5fd39a;--ok-bg:#12301f;--bad:#ff8a80;--bad-bg:#3a1715;--open:#f0c265;--open-bg:#34270b;--bar:#7ba4f4;--code:#202a34}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 2px;letter-spacing:-.01em}
h2{font-size:18px;margin:40px 0 12px}
h3{font-size:15px;margin:0;font-weight:600}
p{margin:0 0 8px}
code,.mono{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{background:var(--code);border-radius:4px;padding:1px 5px;overflow-wrap:anywhere}
.soft{color:var(--soft)}
.verdict{display:flex;gap:16px;align-items:center;border:1px solid;border-radius:12px;padding:18px 20px;margin:20px 0}
.verdict svg{flex:none}
.verdict strong{display:block;font-size:20px;line-height:1.3}
.held{color:var(--ok)}.nothel{color:var(--bad)}.open{color:var(--open)}
.verdict.held{background:var(--ok-bg)}.verdict.nothel{background:var(--bad-bg)}.verdict.open{background:var(--open-bg)}
.verdict span{color:var(--ink)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:12px;margin:0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 14px;min-width:0}
dt{color:var(--soft);font-size:12.5px}
dd{margin:0;overflow-wrap:anywhere}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;margin:0 0 14px;overflow:hidden}
.card header{display:flex;gap:12px;justify-content:space-between;align-items:baseline;padding:12px 16px;border-bottom:1px solid var(--line)}
.count{white-space:nowrap;font-variant-numeric:tabular-nums;font-weight:600}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse}
th{font-weight:500;font-size:12.5px;color:var(--soft);text-align:left}
th,td{padding:8px 16px;vertical-align:top;border-bottom:1px solid var(--line)}
tr:last-child td{border-bottom:0}
td.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;color:var(--soft)}
td.name{white-space:nowrap;font-weight:600}
td.name .dot{display:inline-block;width:9px;height:9px;border-radius:50%;background:currentColor;margin-right:9px}
td.name .id{color:var(--ink)}
table{min-width:640px}
.trials{table-layout:fixed;min-width:960px}.trials .w1{width:232px}.trials .w2{width:262px}.trials .w3{width:200px}.trials .w5{width:84px}
.hash{font-size:12px;background:none;padding:0;white-space:nowrap}
td ul{margin:0;padding:0;list-style:none}
details{margin-top:2px}
summary{cursor:pointer;color:var(--soft);font-size:12.5px}
svg .life{stroke:var(--bar);stroke-width:3;stroke-linecap:round}
svg .guide{stroke:var(--line)}
svg .killed{stroke:var(--bad);stroke-width:2;fill:none}
svg .stopped{fill:var(--open)}
svg .refused{stroke:var(--open);stroke-width:2.5}
svg .done{fill:var(--ok)}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;font-size:12.5px;color:var(--soft);margin:0 0 12px}
.legend svg{vertical-align:-1px;margin-right:5px}
ul.plain{padding-left:20px;margin:0}
ul.plain li{margin:0 0 6px}
footer{margin-top:40px;color:var(--soft);font-size:12.5px}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--code:#f2f2f2}main{max-width:none;padding:0}.card{break-inside:avoid}details>*{display:block}}
`.trim();
