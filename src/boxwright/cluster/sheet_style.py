"""The contact sheet's style: pictures in rows of one height, light and dark by the reader's preference."""

from boxwright.evaluate.style import INK

CSS = (
    INK
    + """*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
sans-serif;font-variant-numeric:tabular-nums}
main,header,nav{max-width:1360px;margin:0 auto;padding:0 24px}
header{padding-top:34px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:20px;margin:0;letter-spacing:-.01em}
h3{font-size:13px;font-weight:600;margin:16px 0 8px;color:var(--soft)}
p{margin:2px 0 12px;max-width:84ch}
.soft{color:var(--soft)}
.facts{display:flex;flex-wrap:wrap;gap:10px 34px;margin:18px 0 20px}
.facts b{display:block;font-size:27px;line-height:1.15;letter-spacing:-.02em;font-weight:650}
.facts span{font-size:12.5px;color:var(--soft)}
nav{position:sticky;top:0;z-index:1;background:var(--page);padding-top:9px;padding-bottom:9px;
border-bottom:1px solid var(--line);font-size:13.5px;display:flex;gap:18px;overflow-x:auto;white-space:nowrap;
scrollbar-width:thin}
nav a{color:var(--soft);text-decoration:none}
nav a:hover{color:var(--ink);text-decoration:underline}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:16px 0;
scroll-margin-top:50px;content-visibility:auto;contain-intrinsic-size:auto 420px}
section:target{border-color:var(--accent)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(148px,1fr));gap:16px;margin-top:12px}
.card{color:inherit;text-decoration:none;display:block}
.card img{width:100%;height:auto;aspect-ratio:1;display:block;border-radius:8px;background:var(--track)}
.card:hover img,.row a:hover img{outline:2.5px solid var(--accent);outline-offset:1px}
.card b{display:block;margin-top:6px;font-weight:600;line-height:1.3;overflow-wrap:anywhere}
.card span{font-size:12.5px;color:var(--soft)}
.row{display:flex;flex-wrap:wrap;gap:6px}
.row a,.gone{display:block;border-radius:5px}
.row img{height:118px;width:auto;max-width:320px;object-fit:cover;display:block;border-radius:5px;
background:var(--track)}
.gone{height:118px;width:118px;background:var(--track);font-size:11px;color:var(--soft);padding:8px;
overflow:hidden;overflow-wrap:anywhere}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(300px,100%),1fr));gap:20px 26px}
.pairs figure{margin:0}
figcaption{font-size:12px;line-height:1.4;color:var(--soft);margin-top:5px;overflow-wrap:anywhere}
.mix{display:block;width:100%;max-width:520px;height:9px;margin:8px 0 5px;border-radius:5px;overflow:hidden}
.key{display:inline-flex;align-items:center;gap:6px;margin:0 16px 12px 0;font-size:13px;color:var(--soft)}
.key svg{width:10px;height:10px;border-radius:3px;flex:none}
.plot{width:100%;max-width:640px;height:auto;display:block}
.plot text{font-size:11px;fill:var(--soft);font-family:inherit}
.plot .grid{stroke:var(--line);stroke-width:.8}
.plot .line{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
.plot .dot{fill:var(--accent)}.plot .best{fill:var(--wrong)}.plot text.best{font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:0;font-size:13.5px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
footer{color:var(--soft);font-size:12.5px;padding:6px 0 30px}
@media (max-width:600px){main,header,nav{padding-left:14px;padding-right:14px}section{padding:14px}
.row img,.gone{height:84px}.gone{width:84px}.cards{grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:10px}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--track:#eee}nav{display:none}
section{border:0;padding:6px 0;content-visibility:visible}.row img{height:64px}figure,.card{break-inside:avoid}}
"""
)
"""The style sheet."""
