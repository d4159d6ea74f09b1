"""Says what a Python script would do, as JSON, without running any of it.

The request comes on stdin as JSON: path, source (base64), args, env, dir. The
answer has the syntax error if there is one, imports, calls with what is known
of their arguments, reads of the environment and the PEP 723 header. Values are
followed through names that are assigned in a way that leaves no doubt; of
everything else the answer says that it is unknown.
"""
import ast, base64, json, os, re, sys, warnings

LIMIT = 4000  # calls that are told; a script with more is generated


class Value:
    """What is known of an expression. Two reads of one unknown are the same."""
    count = 0

    def __init__(self, kind="?", **more):
        Value.count += 1
        self.id, self.kind, self.more = Value.count, kind, more

    def json(self, depth=0):
        out = {"k": self.kind}
        if self.kind != "const":
            out["id"] = self.id
        for key, v in self.more.items():
            if key.startswith("_"):
                continue
            if isinstance(v, Value):
                v = v.json(depth + 1) if depth < 6 else {"k": "?"}
            elif isinstance(v, list) and v and isinstance(v[0], Value):
                v = [x.json(depth + 1) for x in v] if depth < 6 else []
            out[key] = v
        return out


def const(v):
    return Value("const", v=v)


PLAIN = (str, int, float, bool, type(None))
READERS = {"os.environ.get", "os.getenv", "os.environ.pop", "os.environ.setdefault"}
PARSES = {".parse_args_into_dataclasses", ".parse_args_and_config", ".parse_args", ".parse_yaml_file", ".parse_json_file", ".parse_dict"}
KEEP = {"shuffle", "with_format", "cast", "cast_column", "sort", "flatten_indices", "class_encode_column", "with_transform"}
ROWS = {"select", "filter", "shard", "take", "skip"}
LISTS = (ast.List, ast.Tuple, ast.Set)


class Scope(dict):
    """Names of a function or the module; a function also sees the module's."""

    def __init__(self, outer=None):
        super().__init__()
        self.outer = outer

    def find(self, name):
        scope = self
        while scope is not None:
            if name in scope:
                return scope[name]
            scope = scope.outer
        return None


class Reader:
    def __init__(self, request, tree):
        self.env_given, self.args = request.get("env") or {}, request.get("args") or []
        self.calls, self.imports, self.env, self.texts = [], [], [], []
        self.set_env, self.columns, self.picks, self.flags = [], [], [], {}
        self.env_values = {}
        self.module, self.functions, self.done, self.depth = Scope(), {}, set(), 0
        self.guard, self.conditional, self.inside, self.asking = 0, 0, 0, 0
        self.sites = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                self.sites[node.func.id] = self.sites.get(node.func.id, 0) + 1
        self.options = {}

    # --- statements -------------------------------------------------------

    def run(self, tree):
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.functions[node.name] = node
        self.block(tree.body, self.module)
        for node in ast.walk(tree):  # functions that nobody calls by name
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and node not in self.done:
                self.body(node, Scope(self.module), [], {})

    def block(self, body, scope):
        for node in body:
            self.statement(node, scope)

    def statement(self, node, scope):
        kind = type(node).__name__
        method = getattr(self, "do_" + kind, None)
        if method:
            return method(node, scope)
        if isinstance(node, ast.stmt):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.value(child, scope)
                elif isinstance(child, ast.stmt):
                    self.statement(child, scope)

    def do_Import(self, node, scope):
        for a in node.names:
            self.add_import(node, a.name, None, 0)
            scope[a.asname or a.name.split(".")[0]] = Value("name", name=a.name if a.asname else a.name.split(".")[0])

    def do_ImportFrom(self, node, scope):
        module = node.module or ""
        for a in node.names:
            self.add_import(node, module, a.name, node.level)
            if a.name != "*":
                scope[a.asname or a.name] = Value("name", name=("." * node.level) + module + "." + a.name)

    def add_import(self, node, module, name, level):
        self.imports.append({"module": module, "name": name or "", "level": level, "line": node.lineno,
                             "guarded": self.guard > 0, "conditional": self.conditional + self.inside > 0})

    def do_FunctionDef(self, node, scope):
        for d in node.decorator_list:
            self.value(d, scope)
        for d in list(node.args.defaults) + [d for d in node.args.kw_defaults if d]:
            self.value(d, scope)
        a = node.args
        scope[node.name] = Value("function", name=node.name, _node=node, _scope=scope, varkw=a.kwarg is not None,
                                 params=[x.arg for x in a.args + a.kwonlyargs])

    do_AsyncFunctionDef = do_FunctionDef

    def do_ClassDef(self, node, scope):
        for d in list(node.decorator_list) + list(node.bases) + [k.value for k in node.keywords]:
            self.value(d, scope)
        inner = Scope(scope)
        self.inside += 1
        self.block(node.body, inner)
        self.inside -= 1
        changed = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)} | {"return "}
        for name, v in list(inner.items()):  # methods see the module, not the class
            if v.kind == "function":
                self.body(v.more["_node"], Scope(scope), [], {})
        scope[node.name] = Value("class", name=node.name, _fields={k: self.default(v) for k, v in inner.items() if k not in changed and v.kind != "function"})

    def default(self, v):
        """The value of a dataclass's field."""
        if v.kind == "call" and v.more["name"] == "dataclasses.field":
            return v.more["_kw"].get("default", Value())
        return v

    def do_Return(self, node, scope):
        v = self.value(node.value, scope) if node.value else const(None)
        scope.setdefault("return ", []).append(v) if isinstance(scope, dict) else None

    def do_Assign(self, node, scope):
        v = self.value(node.value, scope)
        for target in node.targets:
            self.bind(target, v, scope)

    def do_AnnAssign(self, node, scope):
        if node.value is not None:
            self.bind(node.target, self.value(node.value, scope), scope)

    def do_AugAssign(self, node, scope):
        self.value(node.value, scope)
        self.bind(node.target, Value(), scope)

    def bind(self, target, v, scope):
        if isinstance(target, ast.Name):
            scope[target.id] = v
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = v.more.get("items") if v.kind == "list" else None
            for i, t in enumerate(target.elts):
                known = parts is not None and len(parts) == len(target.elts)
                self.bind(t, parts[i] if known else Value(), scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, Value(), scope)
        elif isinstance(target, ast.Subscript):
            where, key = self.value(target.value, scope), self.value(target.slice, scope)
            if where.more.get("name") == "os.environ" and key.kind == "const":
                self.set_env.append(key.more["v"])
                self.env_values[str(key.more["v"])] = v.json()
            elif where.kind == "dict" and key.kind == "const" and isinstance(target.value, ast.Name):
                scope[target.value.id] = self.dict(dict(where.more["_vals"], **{str(key.more["v"]): v}))
            elif isinstance(target.value, ast.Name):  # d["train"] = …: d is not what it was
                scope[target.value.id] = self.opened(where)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, scope)
            if "_fields" in owner.more:
                owner.more["_fields"] = dict(owner.more["_fields"], **{target.attr: v if not self.conditional else Value()})
            for c in self.calls:  # config.push_to_hub = True
                if owner.kind == "call" and c["id"] == owner.id:
                    c["kw"][target.attr] = v.json()

    def opened(self, v):
        if v.kind == "ds":
            return self.derive(v, ["open"])
        return Value()

    def branches(self, scope, *bodies):
        """Runs alternatives; a name that they leave different is unknown after."""
        before, ends = dict(scope), []
        self.conditional += 1
        for body in bodies:
            scope.clear()
            scope.update(before)
            self.block(body, scope)
            ends.append(dict(scope))
        self.conditional -= 1
        scope.clear()
        for name in set().union(*ends):
            first = ends[0].get(name)
            if name == "return ":
                scope[name] = max((e.get(name, []) for e in ends), key=len)
                continue
            same = all(name in e and (e[name] is first or e[name].kind == "const" == first.kind and e[name].more == first.more) for e in ends)
            kinds = {e[name].kind for e in ends if name in e}
            scope[name] = first if same else (Value("maybe", name="") if kinds == {"name"} else Value())

    def do_If(self, node, scope):
        if isinstance(node.test, ast.Compare) and isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__":
            return self.block(node.body, scope)
        self.asking += 1
        test = self.value(node.test, scope)
        self.asking -= 1
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" or test.more.get("name") == "typing.TYPE_CHECKING":
            self.guard += 1
            self.branches(scope, node.body, node.orelse)
            self.guard -= 1
            return
        self.branches(scope, node.body, node.orelse)

    def loop(self, node, scope):
        for child in ast.walk(node):  # what the loop assigns may be of the round before
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store) and child.id in scope:
                scope[child.id] = Value()
        self.branches(scope, node.body, [])
        self.block(node.orelse, scope)

    def do_For(self, node, scope):
        self.value(node.iter, scope)
        self.bind(node.target, Value(), scope)
        self.loop(node, scope)

    do_AsyncFor = do_For

    def do_While(self, node, scope):
        self.value(node.test, scope)
        self.loop(node, scope)

    def do_With(self, node, scope):
        for item in node.items:
            v = self.value(item.context_expr, scope)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, v, scope)
        self.block(node.body, scope)

    do_AsyncWith = do_With

    def do_Try(self, node, scope):
        catches = [h for h in node.handlers if self.catches(h)]
        self.guard += bool(catches)
        self.branches(scope, node.body + node.orelse)
        self.guard -= bool(catches)
        after = dict(scope)
        for h in node.handlers:
            self.guard += 1
            self.branches(scope, [], h.body)
            self.guard -= 1
        scope.update({k: v for k, v in after.items() if k not in scope})
        self.block(node.finalbody, scope)

    do_TryStar = do_Try

    def catches(self, handler):
        names = {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)} if handler.type else {"Exception"}
        return names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "KeyError"}

    def do_Delete(self, node, scope):
        for t in node.targets:
            if isinstance(t, ast.Subscript):
                t = t.value
            if isinstance(t, ast.Name):
                scope[t.id] = Value()

    def do_Match(self, node, scope):
        self.value(node.subject, scope)
        self.branches(scope, [], *[c.body for c in node.cases])

    def do_Global(self, node, scope):
        for name in node.names:
            self.module[name] = Value()

    # --- expressions ------------------------------------------------------

    def value(self, node, scope):
        self.depth += 1
        if self.depth > 150:
            self.depth -= 1
            return Value()
        try:
            method = getattr(self, "of_" + type(node).__name__, None)
            if method:
                return method(node, scope)
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.value(child, scope)
                elif isinstance(child, ast.comprehension):
                    self.value(child.iter, scope)
                    for test in child.ifs:
                        self.value(test, scope)
            return Value()
        finally:
            self.depth -= 1

    def of_Constant(self, node, scope):
        if isinstance(node.value, str) and len(node.value) < 4000:
            self.texts.append({"text": node.value, "line": node.lineno})
        return const(node.value) if isinstance(node.value, PLAIN) else Value()

    def of_Name(self, node, scope):
        v = scope.find(node.id)
        if v is None:
            return Value("name", name=node.id, builtin=True)
        return v

    def of_Lambda(self, node, scope):
        self.body(node, Scope(scope), [], {})
        return Value("function", name="lambda", _node=node, _scope=scope, varkw=node.args.kwarg is not None,
                     params=[x.arg for x in node.args.args + node.args.kwonlyargs])

    def of_NamedExpr(self, node, scope):
        v = self.value(node.value, scope)
        self.bind(node.target, v, scope)
        return v

    def of_Attribute(self, node, scope):
        v = self.value(node.value, scope)
        if v.kind == "name" and not v.more.get("builtin"):
            return Value("name", name=v.more["name"] + "." + node.attr)
        if v.kind == "call" and v.more.get("name") == "argparse.Namespace":
            return self.option(node.attr)
        if node.attr in v.more.get("_fields", ()):
            return self.known(v.more["_fields"].get(node.attr))
        return Value("attr", of=v, name=node.attr)

    def of_JoinedStr(self, node, scope):
        text, known = "", True
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            v = self.value(inner, scope)
            known = known and v.kind == "const" and not getattr(part, "format_spec", None)
            text += str(v.more.get("v", "")) if known else ""
        return const(text) if known else Value()

    of_TemplateStr = of_JoinedStr

    def of_BinOp(self, node, scope):
        a, b = self.value(node.left, scope), self.value(node.right, scope)
        if a.kind == b.kind == "const":
            x, y = a.more["v"], b.more["v"]
            try:
                if isinstance(node.op, ast.Add) and type(x) is type(y) and isinstance(x, (str, int, float)):
                    return const(x + y) if not isinstance(x, str) or len(x) + len(y) < 4000 else Value()
                if isinstance(node.op, ast.Mult) and all(isinstance(z, (int, float)) for z in (x, y)) and abs(x) < 1e15 and abs(y) < 1e15:
                    return const(x * y)
                if isinstance(node.op, ast.FloorDiv) and all(isinstance(z, int) for z in (x, y)) and y:
                    return const(x // y)
                if isinstance(node.op, ast.Sub) and all(isinstance(z, (int, float)) for z in (x, y)):
                    return const(x - y)
            except (OverflowError, ValueError):
                return Value()
        return Value()

    def of_UnaryOp(self, node, scope):
        v = self.value(node.operand, scope)
        if isinstance(node.op, ast.USub) and v.kind == "const" and type(v.more["v"]) in (int, float):
            return const(-v.more["v"])
        return Value()

    def of_BoolOp(self, node, scope):
        vals = [self.value(node.values[0], scope)]
        self.conditional += 1
        vals += [self.value(v, scope) for v in node.values[1:]]
        self.conditional -= 1
        if isinstance(node.op, ast.Or) and vals[0].kind == "const":
            return vals[0] if vals[0].more["v"] else vals[-1]
        return Value()

    def of_IfExp(self, node, scope):
        self.asking += 1
        self.value(node.test, scope)
        self.asking -= 1
        self.conditional += 1
        a, b = self.value(node.body, scope), self.value(node.orelse, scope)
        self.conditional -= 1
        return a if a.kind == b.kind == "const" and a.more == b.more else Value()

    def of_List(self, node, scope):
        items = [self.value(e, scope) for e in node.elts]
        if any(isinstance(e, ast.Starred) for e in node.elts):
            return Value()
        if items and all(i.kind == "const" for i in items):
            return Value("list", items=items[:200], v=[i.more["v"] for i in items][:200])
        return Value("list", items=items[:200])

    of_Tuple = of_Set = of_List

    def of_Dict(self, node, scope):
        vals = {}
        for k, v in zip(node.keys, node.values):
            key = self.value(k, scope) if k is not None else None
            val = self.value(v, scope)
            if vals is None:
                continue
            if key is None and "_vals" in val.more:
                vals.update(val.more["_vals"])
            elif key is None or key.kind != "const" or len(vals) > 200:
                vals = None
            else:
                vals[str(key.more["v"])] = val
        return Value() if vals is None else self.dict(vals)

    def dict(self, vals):
        return Value("dict", entries={k: v.json(3) for k, v in vals.items()}, _vals=vals)

    def known(self, v):
        """What was set to None is set later, for all that is known."""
        return v if v is not None and not (v.kind == "const" and v.more["v"] is None) else Value()

    def of_Subscript(self, node, scope):
        v, key = self.value(node.value, scope), self.value(node.slice, scope)
        if v.more.get("name") == "os.environ" and key.kind == "const":
            if isinstance(node.ctx, ast.Load):
                return self.read_env(node, key.more["v"], "must", None)
        if v.kind == "ds" and key.kind == "const" and isinstance(key.more["v"], str):
            return self.part(v, key.more["v"], node)
        if v.kind == "dict" and key.kind == "const":
            return v.more["_vals"].get(str(key.more["v"]), Value())
        if v.kind == "list" and key.kind == "const" and isinstance(key.more["v"], int):
            items = v.more["items"]
            return items[key.more["v"]] if -len(items) <= key.more["v"] < len(items) else Value()
        return Value()

    def of_Index(self, node, scope):  # before Python 3.9
        return self.value(node.value, scope)

    def of_Slice(self, node, scope):
        for part in (node.lower, node.upper, node.step):
            if part is not None:
                self.value(part, scope)
        return Value()

    def of_Compare(self, node, scope):
        left = self.value(node.left, scope)
        for c in node.comparators:
            v = self.value(c, scope)
            if v.more.get("name") == "os.environ" and left.kind == "const":
                self.read_env(node, left.more["v"], "asks", None)
        return Value()

    def read_env(self, node, name, how, default):
        if not isinstance(name, str):
            return Value()
        if self.guard or how == "wants" and self.asking + self.conditional:
            how = "asks"
        elif how == "must" and self.conditional:
            how = "wants"
        self.env.append({"name": name, "line": node.lineno, "how": how})
        if name in self.env_given:
            return const(self.env_given[name])
        return default if default is not None else Value("env", name=name)

    def of_Call(self, node, scope):
        f = self.value(node.func, scope)
        args = [self.value(a.value if isinstance(a, ast.Starred) else a, scope) for a in node.args]
        star = any(isinstance(a, ast.Starred) for a in node.args)
        kw = {}
        for k in node.keywords:
            v = self.value(k.value, scope)
            if k.arg is None:
                entries = v.more.get("_vals")
                star = star or entries is None
                kw.update(entries or {})
            else:
                kw[k.arg] = v
        if f.kind == "function" and f.more["_node"] not in self.done:
            return self.call(f, node, args, kw, scope)
        if f.kind == "attr" and f.more["name"] in ("pop", "popitem", "clear", "setdefault") and f.more["of"].kind == "dict" and isinstance(node.func.value, ast.Name):
            scope[node.func.value.id] = Value()
        if f.kind == "attr" and f.more["name"] == "update" and f.more["of"].kind == "dict" and isinstance(node.func.value, ast.Name):
            more = dict(args[0].more.get("_vals", {}) if args else {}, **kw)
            scope[node.func.value.id] = Value() if star or args and "_vals" not in args[0].more else self.dict(dict(f.more["of"].more["_vals"], **more))
        return self.outer_call(node, f, args, kw, star)

    def outer_call(self, node, f, args, kw, star):
        name, recv = "", None
        if f.kind == "name":
            name = f.more["name"]
        elif f.kind == "attr":
            name, recv = "." + f.more["name"], f.more["of"]
        special = self.special(node, name, recv, args, kw, star)
        result = special or Value("call", name=name, _args=args, _kw=kw)
        if f.kind == "class":
            result.more["_fields"] = {} if star or args else dict(f.more["_fields"], **kw)
        if name and len(self.calls) < LIMIT:
            result_id = result.id
            self.calls.append({"id": result_id, "name": name, "line": node.lineno, "args": [a.json() for a in args[:8]],
                               "kw": {k: v.json() for k, v in kw.items()}, "star": star, "builtin": bool(f.more.get("builtin")),
                               "written": sorted(kw),
                               "recv": recv.json() if recv is not None else None, "guarded": self.guard > 0, "maybe": self.conditional > 0})
        return result

    def special(self, node, name, recv, args, kw, star):
        first = args[0] if args else None
        if name in READERS and first is not None and first.kind == "const":
            default = args[1] if len(args) > 1 else kw.get("default")
            return self.read_env(node, first.more["v"], "may" if default is not None else "wants", default)
        if name.endswith("load_dataset") and (name in ("load_dataset", "datasets.load_dataset")):
            return self.load(node, args, kw)
        if name == "datasets.concatenate_datasets" or name == "datasets.interleave_datasets":
            items = first.more.get("items") if first is not None else None
            return Value("many", of=items or [Value()])
        if name == "dict" and not star and all("_vals" in a.more for a in args):
            return self.dict(dict((args[0].more["_vals"] if args else {}), **kw))
        if name in ("list", "sorted", "set") and first is not None and first.kind == "attr":
            return first
        if name in PARSES and recv is not None and recv.kind == "call" and recv.more["name"].split(".")[-1] in ("HfArgumentParser", "TrlParser", "H4ArgumentParser"):
            return self.parse(node, name, recv, kw)
        if recv is not None and recv.kind == "ds":
            return self.method(node, recv, name[1:], args, kw)
        if name == ".add_argument" and recv is not None and recv.kind == "call" and recv.more["name"] == "argparse.ArgumentParser":
            self.add_option(args, kw)
        if name in (".parse_args", ".parse_known_args") and recv is not None and recv.kind == "call" and recv.more["name"] == "argparse.ArgumentParser":
            v = Value("call", name="argparse.Namespace")
            return v if name == ".parse_args" else Value("list", items=[v, Value()])
        if name == "os.chdir":
            self.flags["chdir"] = True
        if name in ("str", "pathlib.Path") and len(args) == 1 and first.kind == "const" and not kw:
            return Value("path", v=first.more["v"], name=name) if name != "str" else first
        return None

    # --- datasets ---------------------------------------------------------

    def load(self, node, args, kw):
        arg = lambda i, key: args[i] if len(args) > i else kw.get(key)
        text = lambda v: v.more["v"] if v is not None and v.kind == "const" else None
        path, name, split, rev = arg(0, "path"), arg(1, "name"), kw.get("split"), kw.get("revision")
        more = {"path": text(path), "name": text(name), "revision": text(rev), "line": node.lineno, "ops": [],
                "files": "data_files" in kw or "data_dir" in kw or len(args) > 2,
                "sure": all(v is None or v.kind == "const" for v in (path, name, rev))}
        if split is not None and split.kind == "list" and "v" in split.more:
            return Value("list", items=[Value("ds", split=s, **more) for s in split.more["v"]])
        known = split is None or split.kind == "const"
        return Value("ds", split=text(split), whole=split is None or known and text(split) is None, unsure=not known, **more)

    def derive(self, v, op, **change):
        more = dict(v.more)
        more.update(change)
        more["ops"] = v.more["ops"] + [op]
        return Value("ds", **more)

    def part(self, v, key, node):
        ops = v.more["ops"]
        if ops and ops[-1][0] == "tts":
            return self.derive(v, ["part", ops[-1][1], key], whole=False)
        if v.more.get("whole") and not v.more.get("unsure"):
            if not self.guard + self.conditional:
                self.picks.append({"ds": v.json(), "name": key, "line": node.lineno})
            return self.derive(v, ["pick"], split=key, whole=False)
        self.columns.append({"ds": v.json(), "name": key, "line": node.lineno})
        return Value("column", of=v, name=key)

    def method(self, node, v, name, args, kw):
        plain = lambda i, key: (args[i] if len(args) > i else kw.get(key, Value())).more.get("v")
        if name == "train_test_split":
            return self.derive(v, ["tts", Value.count], whole=True)
        if name in KEEP:
            return self.derive(v, ["shuffle", plain(0, "seed") if plain(0, "seed") is not None else "unknown %d" % Value.count] if name == "shuffle" else ["keep"])
        if name in ROWS:
            self.last_ds = v
            return self.derive(v, self.rows_op(node, name, args, kw))
        if name == "rename_column" and plain(0, "original_column_name") and plain(1, "new_column_name"):
            return self.derive(v, ["rename", plain(0, "original_column_name"), plain(1, "new_column_name")])
        if name in ("remove_columns", "select_columns") and plain(0, "column_names"):
            names = plain(0, "column_names")
            return self.derive(v, ["remove" if name == "remove_columns" else "only"] + ([names] if isinstance(names, str) else names))
        if name == "map":
            return self.map(node, v, args, kw)
        if name in ("push_to_hub", "save_to_disk", "to_csv", "to_json", "to_parquet"):
            return None
        return self.derive(v, ["open"])

    def map(self, node, v, args, kw):
        fn = args[0] if args else kw.get("function", Value())
        added = None
        if fn.kind == "function" and "input_columns" not in kw:
            reads, added = row_use(fn.more["_node"])
            self.reads(v, reads, node)
        remove = kw.get("remove_columns", const([]))
        removed = remove.more.get("v")
        if remove.kind == "attr" and remove.more["name"] in ("column_names", "features"):
            removed = "all"
        if isinstance(removed, str) and remove.kind == "const":
            removed = [removed]
        return self.derive(v, ["map", added, removed])

    def reads(self, v, names, node):
        for name in names or []:
            self.columns.append({"ds": v.json(), "name": name, "line": node.lineno})

    def rows_op(self, node, name, args, kw):
        fn = args[0] if args else kw.get("function", Value())
        if name == "filter" and fn.kind == "function" and "input_columns" not in kw:
            self.reads(self.last_ds, row_use(fn.more["_node"])[0], node)
        if name == "select" and node.args and isinstance(node.args[0], ast.Call) and getattr(node.args[0].func, "id", "") == "range":
            ends = [self.value(a, self.module) for a in node.args[0].args]
            if ends and all(e.kind == "const" for e in ends) and len(ends) <= 2:
                nums = [e.more["v"] for e in ends]
                return ["range"] + ([0] + nums if len(nums) == 1 else nums)
            return ["rows", Value.count]
        if name in ("take", "skip") and args and args[0].kind == "const":
            return ["range", 0, args[0].more["v"]] if name == "take" else ["range", args[0].more["v"], 1 << 60]
        return ["rows", Value.count]

    # --- functions and options --------------------------------------------

    def parse(self, node, name, parser, kw):
        """Dataclasses that are filled by the command line."""
        classes = (parser.more["_args"] + [parser.more["_kw"].get("dataclass_types", Value())])[0]
        classes = classes.more["items"] if classes.kind == "list" else [classes]
        flags, sure = self.flags_given()
        sure = sure and name in (".parse_args_into_dataclasses", ".parse_args_and_config", ".parse_args")
        found = []
        for c in classes:
            v = Value("call", name=c.more.get("name", "?"), _fields=dict(c.more.get("_fields", {}), **flags) if sure else {})
            if c.kind == "name":
                self.calls.append({"id": v.id, "name": c.more["name"], "line": node.lineno, "args": [], "kw": {k: x.json() for k, x in flags.items()},
                                   "star": not sure, "builtin": False, "written": [], "recv": None, "guarded": False, "maybe": False})
            found.append(v)
        if "return_remaining_strings" in kw:
            found.append(Value())
        return found[0] if len(found) == 1 and name == ".parse_args" else Value("list", items=found)

    def flags_given(self):
        """What the arguments say, and whether they say all."""
        flags, sure, i = {}, True, 0
        while i < len(self.args):
            head, eq, tail = self.args[i].partition("=")
            i += 1
            if not head.startswith("--"):
                sure = False  # a file of settings
                continue
            values = [tail] if eq else []
            while not eq and i < len(self.args) and not self.args[i].startswith("--"):
                values.append(self.args[i])
                i += 1
            key = head[2:].replace("-", "_")
            sure = sure and key not in ("config", "config_file")
            vals = [const(guess(x)) for x in values]
            flags[key] = const(True) if not vals else vals[0] if len(vals) == 1 else Value("list", items=vals, v=[x.more["v"] for x in vals])
            if key.startswith("no_") and not vals:
                flags[key[3:]] = const(False)
        return flags, sure

    def call(self, f, node, args, kw, scope):
        fn = f.more["_node"]
        if self.sites.get(fn.name, 0) > 1:  # called from several places: with what, differs
            args, kw = [Value() for _ in args], {}
        return self.body(fn, Scope(f.more["_scope"]), args, kw)

    def body(self, fn, scope, args, kw):
        self.done.add(fn)
        a = fn.args
        names = [x.arg for x in getattr(a, "posonlyargs", []) + a.args]
        for i, name in enumerate(names):
            scope[name] = args[i] if i < len(args) else kw.get(name, Value())
        for i, default in enumerate(a.defaults):
            name = names[len(names) - len(a.defaults) + i]
            if (args or kw) and name not in kw and names.index(name) >= len(args):
                scope[name] = self.value(default, self.module)
        for x in a.kwonlyargs + [y for y in (a.vararg, a.kwarg) if y]:
            scope[x.arg] = kw.get(x.arg, Value())
        if isinstance(fn, ast.Lambda):
            return self.value(fn.body, scope)
        held, self.depth = self.depth, self.depth + 5
        self.inside += 1
        if self.depth < 140:
            self.block(fn.body, scope)
        self.inside -= 1
        self.depth = held
        returns = scope.get("return ", [])
        return returns[0] if len(returns) == 1 else Value()

    def add_option(self, args, kw):
        flags = [a.more["v"] for a in args if a.kind == "const" and isinstance(a.more["v"], str)]
        if not flags:
            return
        long = [f for f in flags if f.startswith("--")] or flags
        dest = kw["dest"].more.get("v") if "dest" in kw else long[0].lstrip("-").replace("-", "_")
        kind = kw["type"].more.get("name") if "type" in kw else "str"
        action = kw["action"].more.get("v") if "action" in kw else None
        value = kw.get("default", const(False if action == "store_true" else None))
        if not flags[0].startswith("-"):
            value = Value()  # by its place: which argument that is depends on the others
        for i, text in enumerate(self.args):
            head, eq, tail = text.partition("=")
            if head in flags:
                value = self.typed(tail if eq else (self.args[i + 1] if i + 1 < len(self.args) else None), kind, action)
        self.options[dest] = Value() if kw.get("nargs") is not None else value

    def typed(self, text, kind, action):
        if action:
            return const(True) if action == "store_true" else Value()
        try:
            if kind in ("int", "float") and text is not None:
                return const(int(text) if kind == "int" else float(text))
        except ValueError:
            return Value()
        return const(text) if kind == "str" and text is not None else Value()

    def option(self, name):
        return self.known(self.options.get(name))


def guess(text):
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def row_use(fn):
    """The columns that a function of a row surely reads, and those it adds (None if that is not known)."""
    params = getattr(fn.args, "posonlyargs", []) + fn.args.args
    if params and params[0].arg == "self":
        params = params[1:]
    if not params:
        return None, None
    row = params[0].arg
    body = [fn.body] if isinstance(fn, ast.Lambda) else fn.body
    nodes = [n for b in body for n in ast.walk(b)]
    is_row = lambda n: isinstance(n, ast.Name) and n.id == row
    def key(n):
        k = getattr(n.slice, "value", n.slice) if type(n.slice).__name__ == "Index" else n.slice
        return k.value if isinstance(k, ast.Constant) and isinstance(k.value, str) else None
    if any(is_row(n) and not isinstance(n.ctx, ast.Load) for n in nodes):
        return None, None
    maybe, sure, stored = set(), [], set()
    for n in nodes:
        if isinstance(n, ast.Compare) and any(is_row(c) or isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute) and is_row(c.func.value) for c in n.comparators):
            if not isinstance(n.left, ast.Constant):
                return None, None
            maybe.add(n.left.value)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and is_row(n.func.value):
            maybe |= {a.value for a in n.args if isinstance(a, ast.Constant)}
        if isinstance(n, ast.Try):
            maybe |= {key(x) for x in ast.walk(n) if isinstance(x, ast.Subscript) and is_row(x.value)}
        if isinstance(n, ast.Subscript) and is_row(n.value) and key(n):
            if isinstance(n.ctx, ast.Load):
                sure.append(key(n))
            else:
                stored.add(key(n))
    reads = sorted(set(sure) - maybe - stored)
    return reads, added_columns(fn, body, nodes, row, stored)


def added_columns(fn, body, nodes, row, stored):
    returned = body if isinstance(fn, ast.Lambda) else [n.value for n in nodes if isinstance(n, ast.Return)]
    local = {}
    for n in nodes:
        if isinstance(n, ast.Assign) and len(n.targets) == 1 and isinstance(n.targets[0], ast.Name):
            local.setdefault(n.targets[0].id, []).append(n.value)
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Subscript) and isinstance(n.targets[0].value, ast.Name):
            k = getattr(n.targets[0].slice, "value", None) if type(n.targets[0].slice).__name__ == "Index" else n.targets[0].slice
            local.setdefault(n.targets[0].value.id, []).append(ast.Dict(keys=[k], values=[n.value]))
    keys = set()
    for r in returned:
        if isinstance(r, ast.Name) and r.id == row:
            keys |= stored
            continue
        for d in local.get(r.id, [None]) if isinstance(r, ast.Name) else [r]:
            got = dict_keys(d, row)
            if got is None:
                return None
            keys |= got
    return sorted(keys) if returned else None


def dict_keys(d, row):
    if isinstance(d, ast.Call) and isinstance(d.func, ast.Name) and d.func.id == "dict" and not d.args and all(k.arg for k in d.keywords):
        return {k.arg for k in d.keywords}
    if not isinstance(d, ast.Dict):
        return None
    keys = set()
    for k, v in zip(d.keys, d.values):
        if k is None and isinstance(v, ast.Name) and v.id == row:
            continue
        if not isinstance(k, ast.Constant) or not isinstance(k.value, str):
            return None
        keys.add(k.value)
    return keys


HEADER = re.compile(r"(?m)^# /// script[ \t]*\r?\n((?:#(?: .*)?\r?\n)+)# ///[ \t]*\r?$")


def header(text):
    """The PEP 723 header: there, its list of dependencies, the Python it wants."""
    found = HEADER.search(text + "\n")
    if not found:
        return None
    toml = "".join(line[2:] if line.startswith("# ") else line[1:] for line in found.group(1).splitlines(True))
    try:
        import tomllib
        data = tomllib.loads(toml)
    except ImportError:
        names = re.search(r"(?ms)^\s*dependencies\s*=\s*\[(.*?)\]\s*$", toml)
        want = re.search(r"""(?m)^\s*requires-python\s*=\s*["'](.*?)["']""", toml)
        data = {"dependencies": re.findall(r"""["']([^"'\n]+)["']""", names.group(1)) if names else []}
        if want:
            data["requires-python"] = want.group(1)
    except Exception as e:
        return {"error": str(e), "line": text.count("\n", 0, found.start()) + 1}
    deps = data.get("dependencies", [])
    uv = data.get("tool", {}).get("uv", {}) if isinstance(data.get("tool"), dict) else {}
    return {"dependencies": [str(d) for d in deps] if isinstance(deps, list) else [], "python": str(data.get("requires-python", "")),
            "own": bool(uv.get("sources") or uv.get("index"))}


def stdlib():
    """Names of the standard library's modules; before 3.10 Python has no list of them."""
    names = set(getattr(sys, "stdlib_module_names", ())) | set(sys.builtin_module_names)
    if not hasattr(sys, "stdlib_module_names"):
        folder = os.path.dirname(os.__file__)
        for at in (folder, os.path.join(folder, "lib-dynload")):
            names |= {f.split(".")[0] for f in os.listdir(at) if f != "site-packages"} if os.path.isdir(at) else set()
    return names


def main():
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(3000)
    request = json.loads(sys.stdin.buffer.read())
    source = base64.b64decode(request["source"])
    out = {"python": "%d.%d.%d" % sys.version_info[:3], "stdlib": sorted(stdlib())}
    out["header"] = header(source.decode("utf-8-sig", "replace"))
    try:
        tree = ast.parse(source, request["path"])
        compile(source, request["path"], "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as e:
        line = getattr(e, "lineno", 0) or 0
        lines = source.decode("utf-8-sig", "replace").splitlines()
        out["error"] = {"line": line, "text": getattr(e, "msg", None) or str(e), "code": lines[line - 1].strip()[:200] if 0 < line <= len(lines) else ""}
        return out
    except (RecursionError, MemoryError):
        out["deep"] = True
        return out
    r = Reader(request, tree)
    try:
        r.run(tree)
    except RecursionError:
        out["deep"] = True
    out.update(imports=r.imports, calls=r.calls, env=r.env, set_env=[s for s in r.set_env if isinstance(s, str)], env_values=r.env_values,
               texts=r.texts[:5000], columns=r.columns, picks=r.picks, flags=r.flags)
    return out


def finite(v):
    """JSON has no NaN and no lone surrogates."""
    if isinstance(v, float) and (v != v or v in (float("inf"), float("-inf"))):
        return None
    if isinstance(v, int) and not isinstance(v, bool) and abs(v) > 1 << 62:
        return None
    if isinstance(v, dict):
        return {str(k): finite(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [finite(x) for x in v]
    return v


answer = json.dumps(finite(main()))
sys.stdout.write(answer)
