"""The style sheet of the report: light and dark by the reader's preference, and fit for paper."""

INK = """
:root{color-scheme:light dark;--page:#f6f6f3;--card:#fff;--ink:#17191c;--soft:#5d636c;--line:#e2e2dc;
--accent:#0a64ad;--right:#1e78c8;--wrong:#d65108;--found:#009e73;--lost:#c23a98;--track:#ebebe6;--on:#fff}
@media (prefers-color-scheme:dark){:root{--page:#121417;--card:#1a1d21;--ink:#e9eaec;--soft:#9ba1ab;
--line:#2d3138;--accent:#6cb4f5;--right:#58a6ee;--wrong:#ff8a4c;--found:#2fc79b;--lost:#ea7cc8;
--track:#2a2e34;--on:#0e1013}}
"""
"""The colours by name, light and dark."""

CSS = (
    INK
    + """*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
sans-serif;font-variant-numeric:tabular-nums}
main,header,nav{max-width:1160px;margin:0 auto;padding:0 24px}
header{padding-top:34px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:20px;margin:0 0 4px;letter-spacing:-.01em}
h3{font-size:14px;margin:18px 0 8px}
p{margin:0 0 10px;max-width:76ch}
.soft,figcaption,.why{color:var(--soft)}
.lead{font-size:19px;line-height:1.45;margin:14px 0 18px;max-width:62ch}
.lead b{font-weight:650}
nav{position:sticky;top:0;z-index:1;background:var(--page);padding-top:8px;padding-bottom:8px;
border-bottom:1px solid var(--line);font-size:13.5px;display:flex;flex-wrap:wrap;gap:4px 18px}
nav a{color:var(--soft);text-decoration:none}
nav a:hover{color:var(--ink);text-decoration:underline}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px 22px;
margin:18px 0;scroll-margin-top:48px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:12px;margin:0 0 14px}
.tile:first-child{grid-column:span 2}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:13px 15px}
.tile .name{font-size:13px;font-weight:600}
.tile .value{font-size:38px;line-height:1.15;font-weight:650;letter-spacing:-.03em}
.tile .why{font-size:12.5px;line-height:1.4;margin:2px 0 0}
.note{border-left:3px solid var(--wrong);padding:1px 12px;margin:8px 0;font-size:14px;color:var(--soft)}
.beside{display:flex;flex-wrap:wrap;gap:14px 34px;align-items:flex-start}
.narrow{max-width:640px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));gap:18px 30px}
figure{margin:0}
figcaption{font-size:12.5px;line-height:1.4;margin-top:4px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
.scroll{overflow-x:auto}
th{font-weight:600;text-align:right;color:var(--soft);font-size:12.5px;vertical-align:bottom}
td{text-align:right}
th,td{padding:5px 8px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.text,th.text{text-align:left;white-space:normal}
td.name{max-width:220px;overflow:hidden;text-overflow:ellipsis;font-weight:550}
tr:last-child td{border-bottom:0}
.least{color:var(--wrong)}
svg text{font-family:inherit;fill:var(--soft)}
svg{display:block}
.plot text{font-size:11px}
.plot{width:100%;height:auto}
.heat{max-width:100%;height:auto}
.bar{width:90px;height:8px;display:inline-block;vertical-align:1px;border-radius:4px}
.wide .bar{width:100%;min-width:120px;height:12px}
.interval{width:100%;height:auto;margin:5px 0 5px}
.track{fill:var(--track)}.fill{fill:var(--accent)}.loss{fill:var(--wrong)}
.range{fill:var(--accent);fill-opacity:.38}
.frame{fill:none;stroke:var(--line)}.grid{stroke:var(--line);fill:none;stroke-width:.7}
.line{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
.small path,.small rect{vector-effect:non-scaling-stroke}.small .line{stroke-width:1.8}
.small .thin{stroke-width:1.2;stroke-dasharray:3 2.4;stroke:var(--soft)}
.area{fill:var(--accent);fill-opacity:.13}
.line.precision{stroke:var(--right)}.line.recall{stroke:var(--found)}
.line.f1{stroke:var(--ink);stroke-width:1.4;stroke-dasharray:5 3}
.mark{stroke:var(--wrong);stroke-width:1.3}
text.strong{fill:var(--wrong);font-weight:600}
.bin{fill:var(--right);fill-opacity:.75}.promise{stroke:var(--wrong);stroke-width:2}
.count{fill:var(--soft);fill-opacity:.6}
.diagonal{stroke:var(--soft);stroke-dasharray:4 3;fill:none}
.sheet{fill:var(--page)}
.heat .right{fill:var(--right)}.heat .wrong{fill:var(--wrong)}
.heat text{fill:var(--ink)}.heat text.on{fill:var(--on)}.heat text.other{font-style:italic;fill:var(--soft)}
.edge{stroke:var(--soft);stroke-width:1;fill:none}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:16px 18px;margin-top:10px}
.curves.few{grid-template-columns:repeat(auto-fill,minmax(230px,1fr))}
.small{width:100%;height:auto;overflow:visible}
.curves figcaption{display:flex;justify-content:space-between;gap:6px;color:var(--ink)}
.curves figcaption span:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.key{display:inline-flex;align-items:center;gap:5px;margin-right:14px;font-size:13px;color:var(--soft)}
.key i{width:14px;height:10px;border:2.5px solid;border-radius:2px}
.key.dash i{height:0;border-width:2px 0 0;border-radius:0;border-style:dashed}
.key.solid i{height:0;border-width:2.5px 0 0;border-radius:0}
i.found{border-color:#009e73}i.lost{border-color:#cc3ca0}i.right{border-color:#1e78c8}
i.wrong{border-color:#e15500}i.accent{border-color:var(--accent)}i.grey{border-color:var(--soft)}
i.ink{border-color:var(--ink)}i.vright{border-color:var(--right)}i.vfound{border-color:var(--found)}
i.vwrong{border-color:var(--wrong)}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(172px,1fr));gap:14px}
.gallery.large{grid-template-columns:repeat(auto-fill,minmax(330px,1fr))}
.gallery
img{width:100%;height:auto;aspect-ratio:4/3;object-fit:contain;display:block;border-radius:6px;background:var(--track)}
.gallery b{color:var(--ink);font-weight:600;font-size:13px} .gallery
figcaption{overflow-wrap:anywhere}.gallery b{display:block} .file{font-size:11.5px;opacity:.8}
.gone{aspect-ratio:4/3;display:grid;place-items:center;background:var(--track);border-radius:6px;
font-size:12.5px;color:var(--soft);padding:10px;text-align:center}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:0;font-size:13.5px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere} ul{margin:6px 0;padding-left:20px;font-size:13.5px}
footer{color:var(--soft);font-size:12.5px;padding:6px 0 30px} @media
(max-width:600px){nav{position:static}main,header,nav{padding-left:14px;padding-right:14px}.tile
.value{font-size:30px} section{padding:15px}} @media
print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--track:#eee;--accent:#0a64ad;
--right:#1e78c8;--wrong:#d65108;--found:#009e73;--lost:#c23a98;--on:#fff}body{font-size:11px}nav{display:none}
main,header{max-width:none;padding:0}section{border:0;padding:6px 0;margin:6px 0}@page{margin:12mm}
h1{font-size:22px}h2{font-size:15px}h3{font-size:12px;margin:10px 0 5px}.lead{font-size:14px;margin:8px 0}
figure,tr,.tile,.heat{break-inside:avoid}h2,h3,h2+p,p:has(.key){break-after:avoid}p{max-width:none}
.tiles{grid-template-columns:repeat(7,1fr);gap:6px}.tile{padding:7px 9px}.tile .value{font-size:21px}
.tile .why,figcaption,.file,.key,dl,ul,.note{font-size:9.5px}.tile .name{font-size:11px}
table{font-size:10px}th{font-size:9.5px}th,td{padding:3px 5px}.bar{width:44px}.scroll{overflow:visible}
.two{grid-template-columns:1fr 1fr}.gallery{grid-template-columns:repeat(6,1fr);gap:8px}
.gallery.large{grid-template-columns:repeat(3,1fr)}.gallery b{font-size:10px}
.curves{grid-template-columns:repeat(8,1fr);gap:8px}.curves.few{grid-template-columns:repeat(4,1fr)}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
)
