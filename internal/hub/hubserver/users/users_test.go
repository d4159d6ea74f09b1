package users_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver/users"
)

func TestAddAndFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := users.Open(dir)
	if _, ok, err := f.Find("hf_x"); ok || err != nil {
		t.Fatalf("without a file there is %v, %v", ok, err)
	}
	alice, err := users.Add(dir, users.User{Name: "alice", Orgs: []string{"team"}})
	if err != nil {
		t.Fatal(err)
	}
	bob, err := users.Add(dir, users.User{Name: "bob", Role: "read"})
	if err != nil {
		t.Fatal(err)
	}
	u, ok, err := f.Find(alice)
	if err != nil || !ok || u.Name != "alice" || u.ReadOnly() || len(u.Orgs) != 1 {
		t.Errorf("alice is %+v, %v, %v", u, ok, err)
	}
	if u, ok, _ := f.Find(bob); !ok || u.Name != "bob" || !u.ReadOnly() {
		t.Errorf("bob is %+v, %v", u, ok)
	}
	if _, ok, _ := f.Find(strings.Replace(u.Token, "sha256:", "", 1)); ok {
		t.Error("the hash is taken for the token")
	}
	path := filepath.Join(dir, users.FileName)
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), alice) || !strings.HasPrefix(string(text), "#") {
		t.Errorf("the file is %s, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the file: %v, %v", info.Mode(), err)
	}
}

func TestEditedByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, users.FileName)
	put := func(text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	f := users.Open(dir)
	put("# mine\n- name: carol # the boss\n  token: hf_plain\n", 3*time.Hour)
	if u, ok, err := f.Find("hf_plain"); !ok || err != nil || u.Name != "carol" {
		t.Fatalf("carol is %+v, %v, %v", u, ok, err)
	}
	if _, err := users.Add(dir, users.User{Name: "dave"}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); !strings.Contains(string(text), "# the boss") {
		t.Errorf("what was written by hand is gone: %s", text)
	}
	for name, text := range map[string]string{
		"not YAML": "- name: [", "unknown field": "- name: x\n  token: t\n  admin: true\n", "no token": "- name: x\n",
		"bad name": "- name: ../x\n  token: t\n", "bad role": "- name: x\n  token: t\n  role: root\n",
		"bad hash": "- name: x\n  token: sha256:zz\n", "bad org": "- name: x\n  token: t\n  orgs: ['a/b']\n", "a mapping": "x: y\n",
	} {
		put(text, 2*time.Hour)
		if _, ok, err := f.Find("t"); ok || err == nil {
			t.Errorf("%s: lets in %v, %v", name, ok, err)
		}
		if _, err := users.Add(dir, users.User{Name: "eve"}); err == nil {
			t.Errorf("%s: is added to", name)
		}
		os.Remove(path)
	}
}

func TestManyAddAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := users.Add(dir, users.User{Name: "same"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := users.Open(dir).Users(); err != nil || len(all) != 8 {
		t.Errorf("there are %d users, %v", len(all), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("- name: a\n  token: sha256:" + strings.Repeat("0", 64) + "\n  orgs: [b]\n  role: read\n"))
	f.Add([]byte("- &a {name: x, token: y}\n- *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := users.Parse(data)
		if err != nil {
			return
		}
		for _, u := range list {
			if u.Name == "" || !strings.HasPrefix(u.Token, "sha256:") || len(u.Token) != 71 {
				t.Errorf("%q lets in %+v", data, u)
			}
		}
	})
}
