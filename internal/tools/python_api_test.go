package tools_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/tools"
)

// pyWorkspace is a workspace with a package in it, and with a Python.
func pyWorkspace(t *testing.T, files map[string]string) sandbox.Local {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	sb := workspace(t)
	for name, text := range files {
		path := filepath.Join(sb.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return sb
}

const trainingPackage = `
"""Trains things."""
import dataclasses, enum, functools, os, sys, threading, time, typing
print("noise of an import")
os.system("echo noise of a program")
threading.Thread(target=time.sleep, args=(600,)).start()
class Color(enum.Enum):
    RED = 1
    BLUE = "b"
@dataclasses.dataclass
class Base:
    output_dir: str
    """where"""
@dataclasses.dataclass
class Config(Base):
    """All that training needs.

    Args:
        learning_rate (` + "`float`" + `, *optional*, defaults to 1e-4):
            How fast it learns,
            or forgets.
        color: the color
    """
    learning_rate: float = 1e-4
    max_length: typing.Optional[int] = dataclasses.field(default=None, metadata={"help": "Longest sequence."})
    tags: typing.List[str] = dataclasses.field(default_factory=list)
    color: Color = Color.RED
class Trainer(object):
    """A trainer."""
    limit = 7
    def __init__(self, model, *, args: Config = None, **kwargs):
        """Init doc."""
    def train(self, resume: bool = False) -> "Result": "Runs it."
    @property
    def steps(self) -> int: "How many."
    @classmethod
    def load(cls, path: str): "Loads."
    @staticmethod
    def add(a, b=2, /): "Adds."
def decorated(f):
    @functools.wraps(f)
    def inner(*args, **kw): return f(*args, **kw)
    return inner
@decorated
def wrapped(alpha, beta=3): "Is wrapped."
class Rude:
    def __repr__(self): raise ValueError("no")
def rude(x=Rude()): pass
class Placeholder: _backends = ["torch"]
Old = Trainer
value = {"a": 1}
`

func TestPythonAPI(t *testing.T) {
	t.Parallel()
	sb := pyWorkspace(t, map[string]string{
		"kit/__init__.py": trainingPackage, "kit/extra.py": "def far(): 'Away.'", "kit/broken.py": "import not_there_at_all",
		"hard.py": "import os; os._exit(3)", "slow.py": "import time; time.sleep(600)", "sick.py": "raise RuntimeError('CUDA is sick')",
		"quits.py": "import sys; sys.exit(2)", "over.py": "import typing\n@typing.overload\ndef f(a: int) -> int: ...\n@typing.overload\ndef f(a: str) -> str: ...\ndef f(a): return a\n",
		"big.py": "def f(" + manyArguments(400) + "): " + `"""` + strings.Repeat("word ", 20000) + `"""`,
	})
	tests := []struct {
		args  args
		wants []string
		not   string
		error bool
	}{
		{args{"name": "kit.Config"}, []string{
			"dataclass kit.Config", "kit/__init__.py:", "output_dir: str (required)", "learning_rate: float = 0.0001 — ", "How fast it learns, or forgets.",
			"max_length: Optional[int] = None — Longest sequence.", "tags: List[str] = []", "color: kit.Color = Color.RED — the color", "All that training needs.",
		}, "noise", false},
		{args{"name": "kit.Config", "arguments": []string{"learning_rate", "max_seq_length", "lr"}}, []string{
			"learning_rate: exists", "max_seq_length: is NO argument; did you mean max_length", "lr: is NO argument", "other parameters; leave out", "How fast it learns",
		}, "the color", false},
		{args{"name": "kit.Trainer", "arguments": []string{"model", "optimizer"}}, []string{"model: exists", "optimizer: is not named; it would go into **kwargs"}, "", false},
		{args{"name": "kit.Config", "match": "length"}, []string{"max_length: Optional[int] = None"}, "color: kit.Color = Color.RED —", false},
		{args{"name": "kit.Config.max_length"}, []string{"type: Optional[int]", "default: None", "Longest sequence."}, "", false},
		{args{"name": "kit.Trainer"}, []string{"class kit.Trainer", "signature: Trainer(model, *, args: kit.Config = None, **kwargs)", "train(self, resume=False)", "limit = 7", "steps", "Init doc."}, "", false},
		{args{"name": "kit.Trainer.train"}, []string{"function kit.Trainer.train", "resume: bool = False", "Runs it."}, "", false},
		{args{"name": "kit.Trainer.steps"}, []string{"a property of type int, read only", "How many."}, "", false},
		{args{"name": "kit.Trainer.load"}, []string{"class method kit.Trainer.load", "path: str", "Loads."}, "", false},
		{args{"name": "kit.Trainer.add"}, []string{"static method", "add(a, b=2, /)"}, "", false},
		{args{"name": "kit.Old"}, []string{"class kit.Old, which is kit.Trainer"}, "", false},
		{args{"name": "kit.wrapped"}, []string{"wrapped(alpha, beta=3)", "Is wrapped."}, "", false},
		{args{"name": "kit.rude"}, []string{"whose repr fails"}, "", false},
		{args{"name": "kit.Placeholder"}, []string{"PLACEHOLDER", "torch"}, "", false},
		{args{"name": "kit.Color"}, []string{"enum kit.Color", "RED = 1", "BLUE = 'b'"}, "", false},
		{args{"name": "kit.value"}, []string{"a value of type dict: {'a': 1}"}, "", false},
		{args{"name": "kit"}, []string{"module kit", "Trains things.", "Trainer", "wrapped(alpha, beta=3)", "submodules (2): broken, extra", "no package brought"}, "", false},
		{args{"name": "kit.extra.far()"}, []string{"function kit.extra.far", "Away."}, "", false},
		{args{"name": "over.f"}, []string{"f(a)"}, "", false},
		{args{"name": "math.hypot"}, []string{"standard library", "written in C"}, "", false},
		{args{"name": "big.f"}, []string{"argument_249", "150 more", "characters more]"}, "", false},

		{args{"name": "kit.Trainr"}, []string{"module kit has no 'Trainr'; did you mean kit.Trainer"}, "", true},
		{args{"name": "kit.Trainer.Train"}, []string{"class kit.Trainer has no 'Train'; did you mean kit.Trainer.train"}, "", true},
		{args{"name": "kit.Placeholder.fit"}, []string{"a PLACEHOLDER: the real one needs torch"}, "", true},
		{args{"name": "kit.broken.x"}, []string{"ask again after uv pip install", "fails: ModuleNotFoundError", "not_there_at_all"}, "is not installed in", true},
		{args{"name": "sick.x"}, []string{"RuntimeError: CUDA is sick", "sick.py:1"}, "", true},
		{args{"name": "quits.x"}, []string{"SystemExit: 2"}, "", true},
		{args{"name": "hard.x"}, []string{"ended Python with exit status 3"}, "", true},
		{args{"name": "slow.x", "timeout_s": 15}, []string{"took longer than 15 s"}, "", true},
		{args{"name": "kit'; touch harm; '"}, []string{"dotted Python name"}, "", true},
		{args{"name": "kit", "package": "a;b"}, []string{"package must be"}, "", true},
		{args{"name": "kit", "python": "/not/there"}, []string{"could not be asked (exit status 127)"}, "", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.args["name"], tt.args["match"]), func(t *testing.T) {
			t.Parallel()
			out := call(t, tools.PythonAPI(sb), tt.args)
			if out.IsError != tt.error {
				t.Errorf("error %v, want %v", out.IsError, tt.error)
			}
			for _, want := range tt.wants {
				if !strings.Contains(out.Text, want) {
					t.Errorf("no %q", want)
				}
			}
			if tt.not != "" && strings.Contains(out.Text, tt.not) {
				t.Errorf("has %q", tt.not)
			}
			if len(out.Text) > 30_000 {
				t.Errorf("%d bytes", len(out.Text))
			}
			if t.Failed() {
				t.Log(out.Text)
			}
		})
	}
}

func manyArguments(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("argument_%d=%d", i, i)
	}
	return strings.Join(names, ", ")
}

// A package that is not there is told with the version that would come, and
// nothing is installed.
func TestPythonAPINotInstalled(t *testing.T) {
	t.Parallel()
	sb := pyWorkspace(t, map[string]string{
		"bin/uv":           "#!/bin/sh\nread r\necho \"asked: $r\" >> asked\necho \"${r%%[>=]*}==9.8.7\"\n",
		"requirements.txt": "torch\nno_such_kit[all]>=2,<3  # why\n",
	})
	if err := os.Chmod(filepath.Join(sb.Dir, "bin/uv"), 0o755); err != nil {
		t.Fatal(err)
	}
	sb.Env = append(sb.Env, "PATH="+filepath.Join(sb.Dir, "bin")+":"+os.Getenv("PATH"), "LC_ALL=xx_XX.UTF-8") // of which bash complains
	out := call(t, tools.PythonAPI(sb), args{"name": "no_such_kit.Config"})
	for _, want := range []string{"no_such_kit is not installed in Python", "requirements.txt asks for no_such_kit[all]>=2,<3", "would be installed: no_such_kit==9.8.7 (uv pip compile)", "nothing was installed"} {
		if !strings.Contains(out.Text, want) {
			t.Errorf("no %q in %s", want, out.Text)
		}
	}
	if !out.IsError {
		t.Error("no error")
	}
}

// What uv.lock says needs no index.
func TestPythonAPILocked(t *testing.T) {
	t.Parallel()
	sb := pyWorkspace(t, map[string]string{"uv.lock": "version = 1\n\n[[package]]\nname = \"no-such-kit\"\nversion = \"1.2.3\"\n"})
	out := call(t, tools.PythonAPI(sb), args{"name": "no_such_kit", "python": "python3"})
	if !strings.Contains(out.Text, "uv.lock asks for no-such-kit==1.2.3") || !strings.Contains(out.Text, "pip install -p /tmp/api 'no_such_kit==1.2.3'") {
		t.Error(out.Text)
	}
}

// The environment of the workspace comes before the one of the machine, and its
// packages are known by their versions.
func TestPythonAPIEnvironment(t *testing.T) {
	t.Parallel()
	sb := pyWorkspace(t, map[string]string{})
	if out, err := sb.Exec(t.Context(), sandbox.Command{Line: "python3 -m venv --without-pip .venv"}); err != nil || out.Code != 0 {
		t.Skip("no venv:", out.Text, err)
	}
	site, err := filepath.Glob(filepath.Join(sb.Dir, ".venv/lib/python3*/site-packages"))
	if err != nil || len(site) != 1 {
		t.Fatal(site, err)
	}
	for name, text := range map[string]string{
		"kitlearn.py": "def fit(x): 'Fits.'", "kit_learn-2.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: kit-learn\nVersion: 2.5\n",
		"kit_learn-2.5.dist-info/top_level.txt": "kitlearn\n", "kit_learn-2.5.dist-info/RECORD": "kitlearn.py,,\n",
	} {
		path := filepath.Join(site[0], name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := call(t, tools.PythonAPI(sb), args{"name": "kitlearn.fit"})
	if !strings.Contains(out.Text, "[from kit-learn 2.5, installed in Python 3") || !strings.Contains(out.Text, ".venv/bin/python") {
		t.Error(out.Text)
	}
}

// A project of uv without an environment has nothing installed, and still has
// none afterwards.
func TestPythonAPIInProject(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("uv"); err != nil {
		t.Skip("there is no uv")
	}
	sb := pyWorkspace(t, map[string]string{"pyproject.toml": "[project]\nname = \"x\"\nversion = \"0\"\ndependencies = [\"no-such-kit>=2\"]\n", "mine.py": "def f(a): pass\n"})
	sb.Env = append(sb.Env, "UV_OFFLINE=1")
	if out := call(t, tools.PythonAPI(sb), args{"name": "mine.f"}); !strings.Contains(out.Text, "signature: f(a)") {
		t.Error(out.Text)
	}
	out := call(t, tools.PythonAPI(sb), args{"name": "no_such_kit"})
	if !strings.Contains(out.Text, "pyproject.toml asks for no-such-kit>=2") || !strings.Contains(out.Text, "cannot be said: uv pip compile") {
		t.Error(out.Text)
	}
	if _, err := os.Stat(filepath.Join(sb.Dir, ".venv")); err == nil {
		t.Error("an environment was made")
	}
}
