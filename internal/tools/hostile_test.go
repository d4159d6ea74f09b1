//go:build unix

package tools_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/confine"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// No argument that names a path leads a tool to a key, nor to writing what
// runs programs later.
func TestPathsThatLeadAstray(t *testing.T) {
	b := newBench(t)
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const key = "THE-KEY"
	keyFile := filepath.Join(home, ".aws", "credentials")
	for _, dir := range []string{filepath.Dir(keyFile), filepath.Join(b.Dir, ".git", "hooks")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{keyFile: "a,b\n1," + key + "\n", filepath.Join(b.Dir, ".env"): "a,b\n1," + key + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"table.csv": keyFile, "data": filepath.Dir(keyFile), "hooks": ".git/hooks", "env.csv": ".env"} {
		if err := os.Symlink(target, filepath.Join(b.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(keyFile, filepath.Join(b.Dir, "hard.csv")); err != nil {
		t.Fatal(err)
	}
	b.Hidden, b.Locked = append(sandbox.Keys(home), filepath.Join(b.Dir, ".env")), confine.ProjectNames()
	b.shelf(t, "stuff", true, map[string]string{"pre-commit": "#!/bin/sh\n"})

	secret := []string{keyFile, "table.csv", "data/credentials", ".env", "env.csv", "hard.csv", "./hooks/../env.csv", "/proc/self/environ", "../" + filepath.Base(home)}
	locked := []string{".git/hooks", "hooks", ".ml-intern", "./.git/../.git/hooks"}
	upload := func(path string) args {
		return args{"operation": "upload", "repo": "me/stuff", "source": path, "path": "x.bin"}
	}
	reads := map[string]func(path string) (tool.Tool, args){
		"read": func(p string) (tool.Tool, args) { return tools.Read(b.Local), args{"path": p} },
		"edit": func(p string) (tool.Tool, args) {
			return tools.Edit(b.Local), args{"path": p, "old": "a", "new": "b"}
		},
		"inspect_dataset": func(p string) (tool.Tool, args) { return tools.InspectDataset(b.Local), args{"path": p} },
		"upload":          func(p string) (tool.Tool, args) { return tools.HubFiles(b.connect, b.Local, ""), upload(p) },
		"publish": func(p string) (tool.Tool, args) {
			return b.publish(), b.args(args{"files": []string{"train.py", p}})
		},
		"publish's evaluation": func(p string) (tool.Tool, args) { return b.publish(), b.args(args{"evaluation": p}) },
	}
	for name, of := range reads {
		for _, path := range secret {
			tl, a := of(path)
			if out := call(t, tl, a); !out.IsError || strings.Contains(out.Text, key) {
				t.Errorf("%s of %s: %+v", name, path, out)
			}
		}
	}
	for _, path := range locked {
		for name, out := range map[string]tool.Output{
			"write":        call(t, tools.Write(b.Local), args{"path": path + "/pre-commit", "content": "#!/bin/sh\n"}),
			"hub_download": call(t, b.download(), args{"repo": "me/stuff", "dir": path}),
		} {
			if !out.IsError {
				t.Errorf("%s to %s: %+v", name, path, out)
			}
		}
	}
	if names, err := filepath.Glob(filepath.Join(b.Dir, ".git", "hooks", "*")); err != nil || len(names) > 0 {
		t.Errorf("hooks were written: %v, %v", names, err)
	}
}
