"""Hostile names (HTML and script injection) and hostile links."""

NAMES = (
    "<script>xss=1</script>",
    '"><img src=x onerror=xss=1>',
    "'><svg/onload=xss=1>",
    "</title></textarea></style><script>xss=1</script>",
    "</script><script>xss=1</script>",
    "<!--<script>xss=1//--><img src=x onerror=xss=1>",
    '" autofocus onfocus=xss=1 onmouseover=xss=1 x="',
    "' onclick='xss=1",
    "&lt;script&gt;xss=1&lt;/script&gt;&#60;img src=x onerror=xss=1&#62;",
    "\\u003cscript\\u003exss=1\\u003c/script\\u003e \\x3cscript>",
    "%3Cscript%3Exss=1%3C/script%3E",
    "{{constructor.constructor('xss=1')()}} ${xss=1} {{7*7}} {% print(7) %}",
    "`-(xss=1)-` ');xss=1;//",
    '<iframe srcdoc="<script>parent.xss=1</script>"></iframe>',
    '<a href="javascript:xss=1">x</a><base href="//evil.example/">',
    '<meta http-equiv=refresh content="0;url=javascript:xss=1"><link rel=stylesheet href=//e.x>',
    "<form action=//evil.example><input name=venues><button>x",
    "<math><mtext><table><mglyph><style><img src=x onerror=xss=1>",
    "javascript:xss=1",
    "\u202e<tpircs/>1=ssx<tpircs>\u2066",
)
"""Without commas, which a filter would split."""

LINKS = (
    "javascript:xss=1",
    "JaVaScRiPt:xss=1",
    " javascript:xss=1",
    "java\tscript:xss=1",
    "\x01javascript:xss=1",
    "data:text/html,<script>parent.xss=1</script>",
    "vbscript:xss=1",
    "//evil.example/p",
    "/\\evil.example/p",
    'https://goteamup.com/p/1" onclick="xss=1',
    "https://user:pass@evil.example/p",
    "https://goteamup.com/p/'><script>xss=1</script>",
    "blob:https://goteamup.com/1",
    "https:javascript:xss=1",
)
