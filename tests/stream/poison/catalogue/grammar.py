"""What is not JSON, or not one object, and what looks so but is."""

# ruff: noqa: E501

from __future__ import annotations

from catalogue.poison import GOOD, Poison, flat, kept, kept_beside, refused, refused_beside

WHOLE = f"{{{GOOD}}}"
REST = GOOD.removeprefix('"id":"a",')

RECORDS: list[Poison] = flat(
    refused("decode:empty", b"", b" ", b"\n", b" \t\r\n "),
    # something other than { comes first
    refused("decode:not_an_object", '"abc"', "[1]", f"[{WHOLE}]", "null", "12", "true", "}", "abc", "\x00{}", "# c\n{}"),
    refused("decode:not_an_object", f"\x0b{WHOLE}", f"\x0c{WHOLE}", "\u00a0{}", "\u2028{}", f")]}}',\n{WHOLE}", "-", "NaN"),
    refused("decode:not_an_object", "<?xml version='1.0'?><id>a</id>", "id,at\na,2013-01-01", "---\nid: a\n"),
    # cut off or unbalanced
    refused("decode:malformed", "{", "{{", '{"id"', '{"id":', '{"id":"a"', f"{{{GOOD}", f'{{{GOOD},"zz":"', '{"id":"a",}'),
    refused("decode:malformed", f"{{{GOOD};}}", f"{{,{GOOD}}}", f"{{{GOOD},,}}", "{:}", '{"id":"a"]', "{]", f"{{{GOOD}\x00}}"),
    # another language's literals
    refused("decode:malformed", WHOLE.replace('"', "'"), f"{{id:1,{GOOD}}}", f"{{{GOOD} /* c */}}", f"{{{GOOD} // c\n}}"),
    refused_beside("decode:malformed", "'zz':1", "zz:1", '"zz":\'a\'', '"zz":undefined', '"zz":tru', '"zz":nul', '"zz":None'),
    refused_beside("decode:malformed", '"flag":True', '"flag":TRUE', '"zz":`a`', '"zz":"a" + "b"', '"zz":1 /* c */', '"zz":#1'),
    refused_beside("decode:malformed", '"zz":b"a"', '"zz":{1:2}', '"zz":[1 2]', '"zz":[1,]', '"zz":[,1]', '"zz":{"a"}', ""),
    refused_beside("decode:malformed", '"zz" 1', '"zz":1 "y":2', '"zz":1,,"y":2', '"n":"abc","zz":', '"zz":"a\nb"', '"zz":"a\tb"'),
    # an escape that JSON does not know
    refused_beside("decode:malformed", '"zz":"\\x"', '"zz":"\\u12"', '"zz":"\\u12G4"', '"zz":"\\U0001f600"', '"zz":"\\\'"', '"zz":"\\0"'),
    # a second document, or a piece of one
    refused("decode:trailing_data", WHOLE + WHOLE, f"{WHOLE},{WHOLE}", f"{WHOLE}\n{WHOLE}", f"{WHOLE}],[{WHOLE}", f'{WHOLE},"v":{WHOLE}'),
    refused("decode:trailing_data", *(WHOLE + tail for tail in ("]", ",", " xx", "}", "\x00", "//c", "\u00a0", "\x0c", '"', " 1", "{", ":"))),
    # odd, but one JSON object
    kept(WHOLE),
    kept(f"{WHOLE} \r\n\t"),
    kept(f" \n {WHOLE}"),
    kept(f'{{"\\u0069d":"b",{REST}}}', id="b"),
    kept(f'{{ "__corrupt" : "x" , "__parsed":1 , "__reasons" : [ ] , {GOOD}\n}}'),
    kept(f'{{"failed_rules":["x"],"verdict":"accepted","payload":"x","kafka_offset":9,"ingest_date":"1970-01-01",{GOOD}}}'),
    kept_beside('"zz":{"a":[{},[],null,true,-1.5e-3,"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"]}'),
    kept_beside('"":{"id":2},"ID":3,"id ":4,"At":5'),
    # nothing that the schema knows
    refused(("decode:missing:id", "decode:missing:at"), "{}", '{"a":{"b":1}}', '{"ID":"a","At":"x"}', '{"\\u0000id":1}'),
    refused("decode:missing:at", '{"id":"a"}'),
    refused(("decode:type:at", "decode:missing:id"), '{"at":"x"}'),
)  # fmt: skip
