"""Says what a dotted name is in this Python: run by the tool python_api.

It prints two lines that begin with the mark it was given: what is known without
importing anything, and what the import showed. Whatever else is printed while
a package is imported goes nowhere. It runs on Python 3.8 and later.
"""
import difflib, enum, importlib, inspect, json, os, re, sys

MARK, ASK = sys.argv[1], json.loads(sys.argv[2])
LIMIT = 300  # characters of a value, a default or an annotation
OUT = os.dup(1)


def say(kind, record):
    data = (MARK + kind + " " + json.dumps(record) + "\n").encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(OUT, data):]


def cut(text, limit=LIMIT):
    return text if len(text) <= limit else text[:limit] + "…"


def one_line(text, limit=LIMIT):
    return cut(" ".join(str(text).split()), limit)


def show(value, limit=LIMIT):
    """A value in one line, whatever its __repr__ does."""
    try:
        if isinstance(value, (str, bytes)) and len(value) > limit:
            return repr(value[:limit]) + "…"
        if isinstance(value, enum.Enum):
            return "%s.%s" % (type(value).__name__, value.name)
        if inspect.isclass(value) or inspect.isroutine(value):
            return getattr(value, "__qualname__", None) or getattr(value, "__name__", "?")
        return one_line(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)), limit)
    except Exception as error:
        return "<%s whose repr fails: %s>" % (type(value).__name__, one_line(error, 80))


def distribution(module):
    """The package that brings a module, and its version; (module, None) if none does."""
    from importlib import metadata
    names = [module, module.replace("_", "-")]
    try:
        names = metadata.packages_distributions().get(module, []) + names
    except Exception:
        pass
    for name in names:
        try:
            return name, metadata.version(name)
        except Exception:
            continue
    return module, None


def installed():
    from importlib import metadata
    names = set()
    for d in metadata.distributions():
        try:
            names.add(d.metadata["Name"] or "")
        except Exception:
            continue
    return sorted(n for n in names if n)


def wanted(package):
    """What the files of the workspace ask of a package: (requirement, file) pairs."""
    def norm(name):
        return re.sub(r"[-_.]+", "-", name).lower()
    found = []
    try:
        with open("uv.lock", encoding="utf-8") as f:
            for m in re.finditer(r'\[\[package\]\]\s+name = "([^"]+)"\s+version = "([^"]+)"', f.read()):
                if norm(m.group(1)) == norm(package):
                    found.append((m.group(1) + "==" + m.group(2), "uv.lock"))
    except (OSError, ValueError):
        pass
    for file in ("pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        try:
            with open(file, encoding="utf-8") as f:
                text = f.read()
        except (OSError, ValueError):
            continue
        quote = r'["\']' if file.endswith(".toml") else r"(?m:^)\s*"
        for m in re.finditer(quote + r"([A-Za-z0-9][\w.-]*)((?:\[[^\]\n]*\])?[^\"'#;\n]*)", text):
            if norm(m.group(1)) == norm(package) and (not m.group(2) or m.group(2).strip()[:1] in "[=<>!~@ "):
                found.append(((m.group(1) + m.group(2)).strip(), file))
    return found


def near(word, names, n=8):
    """Names like the word: first what differs in case or sign only, then look-alikes, then what holds it."""
    by = {}
    for name in names:
        by.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), name)
    key = re.sub(r"[^a-z0-9]", "", word.lower())
    hits = [by[k] for k in difflib.get_close_matches(key, list(by), n, 0.6)]
    hits += [name for k, name in by.items() if len(key) > 2 and key in k and name not in hits]
    parts = [p for p in re.split(r"[^a-z0-9]+", word.lower()) if len(p) > 2]
    hits += [name for name in names if len(parts) > 1 and name not in hits and sum(p in name.lower() for p in parts) > 1]
    return hits[:n]


def public(obj):
    try:
        names = list(obj.__all__) if inspect.ismodule(obj) and hasattr(obj, "__all__") else dir(obj)
    except Exception:
        names = list(getattr(obj, "__dict__", {}))
    return sorted({n for n in names if isinstance(n, str) and not n.startswith("_")})


def submodules(module):
    import pkgutil
    try:
        return sorted(m.name for m in pkgutil.iter_modules(module.__path__) if not m.name.startswith("_"))
    except Exception:
        return []


class Missing(Exception):
    pass


def resolve(name):
    """The object of a dotted name, and the class or module that it was found in."""
    parts = name.split(".")
    obj, owner = importlib.import_module(parts[0]), None
    for i, part in enumerate(parts[1:], 1):
        owner = obj
        if i == len(parts) - 1 and inspect.isclass(obj) and part in getattr(obj, "__dataclass_fields__", {}):
            return Field(obj, part), obj
        try:
            if inspect.isclass(obj):
                obj = inspect.getattr_static(obj, part)  # a property stays one
            else:
                obj = getattr(obj, part)
            continue
        except AttributeError:
            pass
        if inspect.isclass(owner):
            if part in getattr(owner, "__annotations__", {}) and i == len(parts) - 1:
                return Field(owner, part), owner
            try:
                obj = getattr(owner, part)  # by a metaclass
                continue
            except Exception:
                pass
        here = ".".join(parts[:i])
        placeholder = [note for note in notes(owner) if "PLACEHOLDER" in note]
        if placeholder:
            raise Missing("%s is %s" % (here, placeholder[0]))
        if inspect.ismodule(owner):
            try:
                obj = importlib.import_module(here + "." + part)
                continue
            except ModuleNotFoundError as error:
                if error.name not in (here + "." + part, None):
                    raise
        names = public(owner) + (submodules(owner) if inspect.ismodule(owner) else [])
        hits = near(part, names)
        text = "%s %s has no %r" % (kind_of(owner), here, part)
        if hits:
            text += "; did you mean %s?" % ", ".join(here + "." + h for h in hits)
        else:
            text += "; it has %d public names: ask for %s to see them" % (len(names), here)
        raise Missing(text)
    return obj, owner


class Field:
    """A field of a class that has no value there."""
    def __init__(self, owner, name):
        self.owner, self.name = owner, name


def kind_of(obj):
    if inspect.ismodule(obj):
        return "module"
    if inspect.isclass(obj):
        if issubclass(obj, enum.Enum):
            return "enum"
        if issubclass(obj, BaseException):
            return "exception"
        return "dataclass" if "__dataclass_fields__" in vars(obj) else "class"
    if isinstance(obj, property) or type(obj).__name__ in ("cached_property", "getset_descriptor", "member_descriptor"):
        return "property"
    if isinstance(obj, classmethod):
        return "class method"
    if isinstance(obj, staticmethod):
        return "static method"
    if inspect.iscoroutinefunction(obj):
        return "async function"
    if inspect.isroutine(obj):
        return "function"
    return "object" if not callable(obj) else "callable object"


def annotation(a):
    if a is inspect.Parameter.empty:
        return ""
    return one_line(a if isinstance(a, str) else inspect.formatannotation(a), 160).replace("typing.", "")


def docs_of(name, doc):
    """What a docstring says of one parameter."""
    lines = doc.splitlines()
    start = re.compile(r"^(\s*)(?::param\s+(?:[^:]*\s)?|[-*]\s+)?[`*]*" + re.escape(name) + r"[`*]*\s*(\(.*\)\s*:|:)(.*)$")
    for i, line in enumerate(lines):
        m = start.match(line)
        if not m:
            continue
        text = [m.group(2).strip(": ") + " " + m.group(3)]
        for more in lines[i + 1:i + 12]:
            if more.strip() and len(more) - len(more.lstrip()) <= len(m.group(1)):
                break
            text.append(more)
        return one_line(" ".join(text), 400)
    return ""


def parameters(obj, doc):
    """The parameters that a call takes, or None when Python does not know."""
    target = obj.__func__ if isinstance(obj, (classmethod, staticmethod)) else obj
    try:
        sig = inspect.signature(target)
    except (ValueError, TypeError, NameError, AttributeError):
        return None, None
    fields = getattr(target, "__dataclass_fields__", {}) if inspect.isclass(target) else {}
    rows = []
    for p in sig.parameters.values():
        row = {"name": p.name, "kind": str(p.kind), "type": annotation(p.annotation), "default": None, "doc": docs_of(p.name, doc)}
        if p.default is not inspect.Parameter.empty:
            row["default"] = show(p.default)
        f = fields.get(p.name)
        if f is not None:
            if callable(getattr(f, "default_factory", None)):
                row["default"] = factory(f.default_factory)
            row["doc"] = row["doc"] or one_line(dict(f.metadata).get("help", ""), 400)
        rows.append(row)
    return rows, annotation(sig.return_annotation)


def factory(make):
    if make in (list, dict, set, tuple):
        return show(make())
    name = getattr(make, "__qualname__", "?")
    if "<lambda>" not in name:
        return name + "()"
    try:
        return show(make())
    except Exception:
        return "made by a function"


def call_text(rows, returns):
    parts, star = [], False
    for i, r in enumerate(rows):
        name = r["name"]
        if r["kind"] == "VAR_POSITIONAL":
            name, star = "*" + name, True
        elif r["kind"] == "VAR_KEYWORD":
            name = "**" + name
        elif r["kind"] == "KEYWORD_ONLY" and not star:
            parts.append("*")
            star = True
        elif r["kind"] != "POSITIONAL_ONLY" and i and rows[i - 1]["kind"] == "POSITIONAL_ONLY":
            parts.append("/")
        text = name + (": " + r["type"] if r["type"] else "")
        if r["default"] is not None:
            text += (" = " if r["type"] else "=") + r["default"]
        parts.append(text)
    if rows and rows[-1]["kind"] == "POSITIONAL_ONLY":
        parts.append("/")
    return "(" + ", ".join(parts) + ")" + (" -> " + returns if returns else "")


def fits(row_name, doc=""):
    words = ASK.get("match", "").lower().split()
    return not words or any(w in row_name.lower() or w in doc.lower() for w in words)


def short_call(obj):
    rows, returns = parameters(obj, "")
    if rows is None:
        return "(…)"
    return cut(call_text([dict(r, type="") for r in rows], ""), 160)


class Page:
    def __init__(self):
        self.lines = []

    def add(self, text=""):
        self.lines.append(text)

    def block(self, title, lines, most):
        if not lines:
            return
        self.add()
        self.add("%s (%d):" % (title, len(lines)) if len(lines) > 1 else title + ":")
        for line in lines[:most]:
            self.add("  " + line)
        if len(lines) > most:
            self.add("  [… %d more; say which with match]" % (len(lines) - most))


def describe(name, obj, owner, page):
    kind = kind_of(obj)
    real = real_name(obj)
    if isinstance(obj, Field):
        return describe_field(name, obj, page)
    page.add("%s %s" % (kind, name) + (", which is %s" % real if real and real != name else ""))
    where(obj, page)
    for note in notes(obj):
        page.add(note)
    doc = doc_of(obj)
    if inspect.ismodule(obj):
        doc_block(doc, page, 1200)
        return describe_module(obj, page)
    if kind == "property":
        getter = getattr(obj, "fget", None) or getattr(obj, "func", None)
        returns = parameters(getter, "")[1] if getter else ""
        page.add("a property" + (" of type " + returns if returns else "") + ("" if getattr(obj, "fset", None) else ", read only"))
        return doc_block(doc, page)
    if kind == "enum":
        page.block("members", ["%s = %s" % (m.name, show(m.value)) for m in obj if fits(m.name)], 200)
        return doc_block(doc, page)
    if callable(obj) or isinstance(obj, (classmethod, staticmethod)):
        describe_call(name, obj, doc, page)
        if inspect.isclass(obj):
            describe_class(obj, page)
        return None
    page.add("a value of type %s: %s" % (type(obj).__name__, show(obj, 1000)))
    if type(obj).__module__ != "builtins":
        doc_block(doc, page)
    return None


def describe_field(name, field, page):
    page.add("field %s" % name)
    f = getattr(field.owner, "__dataclass_fields__", {}).get(field.name)
    kinds = getattr(field.owner, "__annotations__", {})
    page.add("type: %s" % annotation(f.type if f is not None else kinds.get(field.name)))
    if f is not None:
        page.add("default: " + (factory(f.default_factory) if callable(f.default_factory) else show(f.default)))
        page.add(one_line(dict(f.metadata).get("help", ""), 1000))
    page.add(docs_of(field.name, inspect.getdoc(field.owner) or ""))


def real_name(obj):
    obj = obj.__func__ if isinstance(obj, (classmethod, staticmethod)) else obj
    if inspect.ismodule(obj):
        return obj.__name__
    if inspect.isclass(obj) or inspect.isroutine(obj):
        module, qual = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
        return "%s.%s" % (module, qual) if module and qual else ""
    return ""


def where(obj, page):
    obj = obj.__func__ if isinstance(obj, (classmethod, staticmethod)) else obj
    try:
        obj = inspect.unwrap(obj)
        file = inspect.getsourcefile(obj) or inspect.getfile(obj)
        line = "" if inspect.ismodule(obj) else ":%d" % inspect.getsourcelines(obj)[1]
        page.add("defined in %s%s" % (file, line))
    except Exception:
        pass


def notes(obj):
    if getattr(obj, "__deprecated__", None):
        yield "DEPRECATED: %s" % one_line(obj.__deprecated__)
    backends = vars(obj).get("_backends") if inspect.isclass(obj) else None
    if isinstance(backends, (list, tuple)):
        yield "a PLACEHOLDER: the real one needs %s, which cannot be imported here; its parameters cannot be seen" % ", ".join(map(str, backends))
    if inspect.isclass(obj):
        bases = [real_name(b) for b in obj.__mro__[1:-1]]
        if bases:
            yield "made from " + cut(", ".join(bases), 400)


def doc_of(obj):
    obj = obj.__func__ if isinstance(obj, (classmethod, staticmethod)) else obj
    try:
        return inspect.getdoc(obj) or ""
    except Exception:
        return ""


def doc_block(doc, page, most=None):
    if not isinstance(doc, str) or not doc.strip():
        return
    most = most or ASK["doc_chars"]
    page.add()
    page.add("docstring:")
    page.add(doc[:most])
    if len(doc) > most:
        page.add("[… %d characters more]" % (len(doc) - most))


def describe_call(name, obj, doc, page):
    init = doc_of(obj.__init__) if inspect.isclass(obj) else ""
    both = doc + ("\n" + init if init and init != doc_of(object.__init__) else "")
    rows, returns = parameters(obj, both)
    if rows is None:
        page.add("Python does not know its signature: it is written in C, or has none; its docstring is all there is")
        return doc_block(both, page)
    short = name.rsplit(".", 1)[-1]
    overloads = overloads_of(obj)
    if overloads:
        page.block("ways to call it", [short + o for o in overloads], 20)
    page.add()
    text = call_text(rows, returns)
    page.add("signature: " + short + (text if len(text) <= 1500 else "(… %d parameters …)%s" % (len(rows), " -> " + returns if returns else "")))
    asked = check(rows, page)
    chosen = [r for r in rows if fits(r["name"], r["doc"])]
    if asked and not ASK.get("match"):
        chosen = [r for r in rows if r["name"] in asked]
        page.add("[%d other parameters; leave out arguments to see them]" % (len(rows) - len(chosen)))
    doc_limit = 400 if len(chosen) <= 40 else 150
    if not chosen and ASK.get("match"):
        page.add("no parameter fits %r; near: %s" % (ASK["match"], ", ".join(near(ASK["match"], [r["name"] for r in rows])) or "none"))
    lines = []
    for r in chosen:
        star = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(r["kind"], "")
        text = star + r["name"] + (": " + r["type"] if r["type"] else "")
        if r["default"] is not None:
            text += " = " + r["default"]
        elif not star and r["name"] not in ("self", "cls"):
            text += " (required)"
        lines.append(text + (" — " + cut(r["doc"], doc_limit) if r["doc"] else ""))
    page.block("parameters", lines, 250)
    if not ASK.get("match") and not ASK.get("arguments"):
        doc_block(both, page)
    return None


def overloads_of(obj):
    import typing
    target = obj.__init__ if inspect.isclass(obj) else getattr(obj, "__func__", obj)
    texts = []
    for f in getattr(typing, "get_overloads", lambda f: [])(target) if inspect.isfunction(target) else []:
        rows, returns = parameters(f, "")
        if rows is not None:
            texts.append(cut(call_text(rows, returns), 400))
    return texts


def check(rows, page):
    """Says of each argument that someone means to pass whether it exists; returns those and the near ones."""
    names = [r["name"] for r in rows if not r["kind"].startswith("VAR_") and r["kind"] != "POSITIONAL_ONLY"]
    rest = [r["name"] for r in rows if r["kind"] == "VAR_KEYWORD"]
    lines, shown = [], set()
    for a in ASK.get("arguments") or []:
        if a in names:
            lines.append("%s: exists" % a)
            shown.add(a)
            continue
        hits = near(a, names, 5)
        shown.update(hits[:2])
        text = "%s: is NO argument" % a if not rest else "%s: is not named; it would go into **%s, and whether that takes it the docstring says" % (a, rest[0])
        lines.append(text + ("; did you mean %s?" % ", ".join(hits) if hits else ""))
    page.block("checked arguments", lines, 100)
    if lines:
        shown.add(rest[0] if rest else "")
    return shown


def describe_class(obj, page):
    methods, values = [], []
    for n in public(obj):
        if not fits(n) or n in getattr(obj, "__dataclass_fields__", {}):
            continue
        try:
            m = inspect.getattr_static(obj, n)
        except AttributeError:
            continue
        if isinstance(m, (classmethod, staticmethod)) or inspect.isroutine(m):
            methods.append(n + short_call(m))
        elif kind_of(m) == "property":
            values.append(n)
        else:
            values.append("%s = %s" % (n, show(m, 80)))
    kinds = {} if hasattr(obj, "__dataclass_fields__") else getattr(obj, "__annotations__", {})
    required = getattr(obj, "__required_keys__", None)
    rows = []
    for n, a in kinds.items():
        if fits(n) and not n.startswith("_"):
            rows.append("%s: %s" % (n, annotation(a)) + ("" if required is None or n in required else " (may be left out)"))
    page.block("annotated fields", rows, 150)
    page.block("properties and attributes", values, 80)
    page.block("methods", methods, 80)


def describe_module(obj, page):
    groups = {"classes": [], "functions": [], "other names": []}
    loaded = vars(obj)
    inside = submodules(obj)
    for n in public(obj):
        if not fits(n):
            continue
        v = loaded.get(n)
        if inspect.ismodule(v):
            if n not in inside and str(v.__name__).startswith(obj.__name__ + "."):
                inside.append(n)
        elif inspect.isclass(v):
            groups["classes"].append(n)
        elif inspect.isroutine(v):
            groups["functions"].append(n + short_call(v))
        elif n not in inside:
            groups["other names"].append(n if v is None else "%s = %s" % (n, show(v, 60)))
    for title, names in groups.items():
        if title != "functions":
            wrapped(page, title, names)
        else:
            page.block(title, names, 150)
    wrapped(page, "submodules", [n for n in inside if fits(n)])
    if ASK.get("match") and len(page.lines) < 6 and not any(groups.values()):
        page.add("no name in it fits %r; near: %s" % (ASK["match"], ", ".join(near(ASK["match"], public(obj) + inside)) or "none"))


def wrapped(page, title, names, most=400):
    if not names:
        return
    page.add()
    page.add("%s (%d): %s" % (title, len(names), ", ".join(names[:most])))
    if len(names) > most:
        page.add("[… %d more; say which with match]" % (len(names) - most))


def main():
    name = ASK["name"]
    module = name.split(".")[0]
    package, version = distribution(module)
    meta = {"package": package, "version": version, "python": "%d.%d.%d" % sys.version_info[:3], "executable": sys.executable}
    meta["stdlib"] = version is None and module in getattr(sys, "stdlib_module_names", sys.builtin_module_names)
    meta["wanted"] = wanted(ASK.get("package") or package)
    say("meta", meta)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    sys.argv = [""]
    try:
        obj, owner = resolve(name)
        page = Page()
        describe(name, obj, owner, page)
        say("api", {"text": "\n".join(page.lines), "file": getattr(sys.modules.get(module), "__file__", None) or ""})
    except Missing as error:
        say("api", {"missing": str(error)})
    except ModuleNotFoundError as error:
        absent = error.name == module
        say("api", {"absent": absent, "needs": error.name or "", "error": "ModuleNotFoundError: " + one_line(error), "near": near(module, installed(), 5) if absent else []})
    except BaseException as error:
        say("api", {"error": "%s: %s" % (type(error).__name__, cut(str(error), 2000)), "trace": trace(error)})
    os._exit(0)  # what the package started may not hold this up


def trace(error):
    import traceback
    lines = ["%s:%d in %s" % (f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)]
    return [l for l in lines if "importlib" not in l and not l.startswith("<stdin>")][-4:]


main()
