"""Says which keyword arguments Python callables take, by reading their source.

Nothing is imported, so a package needs neither be installed whole nor trusted.
The request comes on stdin as JSON: path (folders to look in), calls (dotted
names) and imports ([module, name]). What the source leaves open is answered
with open: such a call takes anything, as far as is known.
"""
import ast, difflib, json, os, sys, warnings

SAFE = {"overload", "validate_params", "deprecate_kwarg", "no_grad", "contextmanager", "staticmethod", "classmethod", "abstractmethod",
        "cache", "lru_cache", "deprecated", "requires", "set_module", "doc", "_deprecate_positional_args", "deprecate_nonkeyword_arguments",
        "add_start_docstrings", "add_end_docstrings", "replace_return_docstrings", "dataclass", "total_ordering", "experimental", "runtime_checkable"}
BARE = {"object", "ABC", "Generic", "Protocol"}
MOST = 150  # modules that are read: some packages import all of their thousands by *
STARS = 25


class Open(Exception):
    """The source does not say."""


class Module:
    def __init__(self, name, file, package, tree, text):
        self.name, self.file, self.package, self.text = name, file, package, text
        self.binds, self.stars, self.lazy = {}, [], {}
        self.collect(tree.body)

    def collect(self, body):
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                self.binds.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.ImportFrom):
                for a in node.names:
                    if a.name == "*":
                        self.stars.append(self.absolute(node))
                    else:
                        self.binds.setdefault(a.asname or a.name, []).append((self.absolute(node), a.name))
            elif isinstance(node, ast.Import):
                for a in node.names:
                    self.binds.setdefault(a.asname or a.name.split(".")[0], []).append((a.name if a.asname else a.name.split(".")[0], None))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                self.assign(node)
            for field in ("body", "orelse", "finalbody"):
                if isinstance(node, (ast.If, ast.Try, ast.With)) and getattr(node, field, None):
                    self.collect(getattr(node, field))
            for h in getattr(node, "handlers", []):
                self.collect(h.body)

    def assign(self, node):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for t in targets:
            for n in ast.walk(t):
                if isinstance(n, ast.Name):
                    self.binds.setdefault(n.id, []).append("assigned")
        if isinstance(node.value, ast.Dict):  # names that are imported when they are asked for
            for k, v in zip(node.value.keys, node.value.values):
                if isinstance(k, ast.Constant) and isinstance(k.value, str) and isinstance(v, (ast.List, ast.Tuple)):
                    for e in v.elts:
                        if isinstance(e, ast.Constant) and isinstance(e.value, str):
                            self.lazy.setdefault(e.value, self.name + "." + k.value)

    def absolute(self, node):
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        drop = node.level - (1 if self.package else 0)
        parts = parts[:len(parts) - drop] if drop else parts
        return ".".join(parts + ([node.module] if node.module else []))


class Source:
    def __init__(self, path):
        self.path, self.modules, self.needs, self.found = path, {}, set(), {}

    def locate(self, name):
        parts = name.split(".")
        for folder in self.path:
            at = os.path.join(folder, *parts)
            if os.path.isfile(os.path.join(at, "__init__.py")):
                return os.path.join(at, "__init__.py"), True
            if os.path.isfile(at + ".py"):
                return at + ".py", False
        return None, False

    def top_there(self, name):
        for folder in self.path:
            at = os.path.join(folder, name)
            if os.path.exists(at) or os.path.exists(at + ".py"):
                return True
            try:
                if any(f.startswith(name + ".") for f in os.listdir(folder)):
                    return True
            except OSError:
                continue
        return False

    def module(self, name):
        """The module, None if there is none in Python."""
        if name in self.modules:
            return self.modules[name]
        file, package = self.locate(name)
        found = None
        if len(self.modules) > MOST:
            raise Open(name)
        if file:
            try:
                with open(file, "rb") as f:
                    data = f.read(8 << 20)
                found = Module(name, file, package, ast.parse(data), data.decode("utf-8", "replace"))
            except (SyntaxError, ValueError, RecursionError, OSError):
                found = None
        elif name and name.split(".")[0] not in getattr(sys, "stdlib_module_names", ()) and not self.top_there(name.split(".")[0]):
            self.needs.add(name.split(".")[0])
        self.modules[name] = found
        return found

    def lookup(self, module, name, depth=0):
        """The definitions that module.name may be: [(module, node)]."""
        key = module, name
        if key not in self.found:
            self.found[key] = None  # so that a circle ends
            try:
                self.found[key] = self.search(module, name, depth)
            except Open:
                pass
        if self.found[key] is None:
            raise Open(name)
        return self.found[key]

    def search(self, module, name, depth):
        m = self.module(module)
        if m is None or depth > 12:
            raise Open(module)
        found, unsure = [], False
        for bind in m.binds.get(name, []):
            if bind == "assigned":
                unsure = True
            elif isinstance(bind, tuple):
                target, attr = bind
                if attr is None:
                    raise Open(name)
                if target == module and attr == name:
                    continue
                found = found + self.lookup(target, attr, depth + 1)
            else:
                found = found + [(m, bind)]
        if not found and name in m.lazy:
            return self.lookup(m.lazy[name], name, depth + 1)
        if not found:
            for star in m.stars[:STARS]:
                try:
                    found = found + self.lookup(star, name, depth + 1)
                except Open:
                    continue
        if not found or unsure and not any(isinstance(f[1], ast.ClassDef) for f in found):
            raise Open(name)
        return found

    # --- parameters -------------------------------------------------------

    def dotted(self, name):
        parts = name.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            module = ".".join(parts[:cut])
            if self.module(module) is not None:
                return self.of_all(self.lookup(module, parts[cut]), parts[cut + 1:])
        raise Open(name)

    def of_all(self, found, rest):
        params, open_ = [], False
        for m, node in found:
            p, o = self.of(m, node, rest)
            params += [x for x in p if x not in params]
            open_ = open_ or o
        return params, open_

    def of(self, m, node, rest):
        if isinstance(node, ast.ClassDef):
            if not rest:
                return self.of_class(m, node)
            if len(rest) == 1:
                return self.of_method(m, node, rest[0], 0)
            raise Open(rest[0])
        if rest:
            raise Open(rest[0])
        return self.of_function(node, False)

    def of_function(self, node, bound):
        a = node.args
        names = [x.arg for x in a.args]
        kinds = {decorator(d) for d in node.decorator_list}
        if bound and "staticmethod" not in kinds and not getattr(a, "posonlyargs", []):
            names = names[1:]
        names += [x.arg for x in a.kwonlyargs] + strings(node.decorator_list)
        return names, a.kwarg is not None or not kinds <= SAFE

    def of_method(self, m, node, name, depth):
        mine = [n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n.name == name]
        if mine:
            return self.merge([self.of_function(n, True) for n in mine])
        if depth > 10:
            raise Open(name)
        for base in node.bases:
            if decorator(base) in BARE:
                continue
            for m2, b in self.base(m, base):
                if not isinstance(b, ast.ClassDef):
                    raise Open(name)
                try:
                    return self.of_method(m2, b, name, depth + 1)
                except KeyError:
                    continue
        raise KeyError(name)

    def merge(self, all_):
        names = []
        for p, _ in all_:
            names += [x for x in p if x not in names]
        return names, any(o for _, o in all_)

    def of_class(self, m, node, depth=0):
        """The constructor's, by the class or the nearest base that has one."""
        found = self.constructor(m, node, depth)
        return found if found is not None else ([], False)

    def constructor(self, m, node, depth):
        if depth > 15 or any(k.arg != "metaclass" or decorator(k.value) != "ABCMeta" for k in node.keywords):
            raise Open(node.name)
        kinds = {decorator(d) for d in node.decorator_list}
        own = [self.of_function(n, True) for n in node.body if isinstance(n, ast.FunctionDef) and n.name in ("__init__", "__new__")]
        if own:
            names, open_ = self.merge(own)
            return names + strings(node.decorator_list), open_
        above = []
        for base in node.bases:
            if decorator(base) in BARE:
                continue
            for m2, b in self.base(m, base):
                if not isinstance(b, ast.ClassDef):
                    raise Open(node.name)
                got = self.constructor(m2, b, depth + 1)
                if got is not None:
                    above.append(got)
        if "dataclass" in kinds:
            names, open_ = self.merge(above + [(fields(node), False)])
            return names, open_
        if kinds - SAFE - {"dataclass_transform"} and any(k in ("define", "attrs", "s", "frozen", "mutable") for k in kinds):
            raise Open(node.name)
        return self.merge(above) if above else None

    def base(self, m, base):
        if isinstance(base, ast.Subscript):
            base = base.value
        if isinstance(base, ast.Name):
            return self.lookup(m.name, base.id)
        if isinstance(base, ast.Attribute):
            parts = []
            while isinstance(base, ast.Attribute):
                parts.insert(0, base.attr)
                base = base.value
            if isinstance(base, ast.Name):
                for bind in m.binds.get(base.id, []):
                    if isinstance(bind, tuple):
                        module = bind[0] if bind[1] is None else bind[0] + "." + bind[1]
                        return self.lookup(".".join([module] + parts[:-1]), parts[-1])
        raise Open("base")

    # --- imports ----------------------------------------------------------

    def lacks(self, module, name):
        """Whether it is certain that the module has no such name."""
        key = module, name, "lacks"
        if key not in self.found:
            self.found[key] = True  # of a circle of imports the rest decides
            self.found[key] = self.surely_lacks(module, name)
        return self.found[key]

    def surely_lacks(self, module, name):
        m = self.module(module)
        if m is None or self.locate(module + "." + name)[0] or name in m.binds or name in m.lazy:
            return False
        if os.path.isdir(os.path.join(os.path.dirname(m.file), name)) or name.startswith("__"):
            return False
        if name in m.text.replace("_import_structure", "") or "define_import_structure" in m.text or "lazy_loader" in m.text:
            return False
        if m.package and any(f.split(".")[0] == name for f in os.listdir(os.path.dirname(m.file))):
            return False
        dynamic = "globals()" in m.text.replace('globals()["__file__"]', "") or "setattr(" in m.text or "exec(" in m.text
        if dynamic or "def __getattr__" in m.text and not names_listed(m.text) or "sys.modules[" in m.text and not m.lazy:
            return False
        if len(m.stars) > STARS:
            return False
        for star in m.stars:
            inner = self.module(star)
            if inner is None or not self.lacks(star, name):
                return False
        return True


def names_listed(text):
    """Modules whose __getattr__ looks names up in a list say all of them."""
    return "_LazyModule" in text or "_import_structure" in text


def decorator(node):
    while isinstance(node, (ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "?")


def strings(nodes):
    """Names in decorators: those that rename arguments take the old ones too."""
    found = []
    for d in nodes:
        for n in ast.walk(d):
            if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.isidentifier():
                found.append(n.value)
    return found


def fields(node):
    names = []
    for n in node.body:
        if not isinstance(n, ast.AnnAssign) or not isinstance(n.target, ast.Name):
            continue
        if decorator(n.annotation) in ("ClassVar", "KW_ONLY") or isinstance(n.annotation, ast.Constant) and "ClassVar" in str(n.annotation.value):
            continue
        if isinstance(n.value, ast.Call) and any(k.arg == "init" and getattr(k.value, "value", True) is False for k in n.value.keywords):
            continue
        names.append(n.target.id)
    return names


def main():
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(5000)
    request = json.loads(sys.stdin.buffer.read())
    source, answers, lacking = Source(request["path"]), {}, []
    for name in request.get("calls", {}):
        try:
            params, open_ = source.dotted(name)
            answers[name] = {"params": params, "open": open_, "known": True}
        except (Open, KeyError, RecursionError):
            answers[name] = {"known": False}
            continue
        wanted = request["calls"][name]
        answers[name]["near"] = {k: difflib.get_close_matches(k, sorted(set(params)), 3, 0.6) for k in wanted if k not in params}
    for module, name in request.get("imports", []):
        try:
            gone = source.lacks(module, name)
        except (Open, RecursionError, OSError):
            gone = False
        if gone:
            m = source.module(module)
            names = list(m.binds) + list(m.lazy)
            lacking.append({"module": module, "name": name, "near": difflib.get_close_matches(name, sorted(set(names)), 3, 0.6)})
    return {"calls": answers, "lacking": lacking, "needs": sorted(source.needs)}


sys.stdout.write(json.dumps(main()))
