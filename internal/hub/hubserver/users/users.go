// Package users reads and writes the file that says who may use a Hub server:
// names, tokens, organizations and roles.
//
// Its one rule: a token is never written down, only its hash; it is shown once,
// when it is made. People may edit the file, while servers run: they read it
// again when it has changed. A file that cannot be read lets nobody in.
package users

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/gofrs/flock"

	"ml-intern/internal/hub"
)

// FileName is the file's name in the folder of a Hub.
const FileName = "users.yaml"

const (
	maxFile  = 1 << 20
	maxUsers = 10_000
	head     = `# Who may use this Hub. Add people with: ml-intern hub user add NAME
# A token is given as sha256:HEX of it, or as it is. Servers see changes at once.
`
)

// A User is one token and whose it is. A name may come more than once, with
// different tokens.
type User struct {
	Name  string   `yaml:"name"`
	Token string   `yaml:"token"` // sha256:HEX once it is read
	Orgs  []string `yaml:"orgs,omitempty"`
	Role  string   `yaml:"role,omitempty"` // write, the default, or read
}

// ReadOnly reports whether the token is for reading only.
func (u User) ReadOnly() bool { return u.Role == "read" }

// Parse reads a file of users.
func Parse(data []byte) (list []User, err error) {
	defer func() {
		if recover() != nil { // a parser of a language this large has odd corners
			list, err = nil, errors.New("read users: the YAML cannot be read")
		}
	}()
	if len(data) > maxFile {
		return nil, fmt.Errorf("read users: the file has more than %d bytes", maxFile)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	err = yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&list)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read users: %s", yaml.FormatError(err, false, false))
	}
	if len(list) > maxUsers {
		return nil, fmt.Errorf("read users: more than %d", maxUsers)
	}
	for i := range list {
		if err := list[i].check(); err != nil {
			return nil, fmt.Errorf("read users: number %d: %w", i+1, err)
		}
	}
	return list, nil
}

func (u *User) check() error {
	for _, name := range append([]string{u.Name}, u.Orgs...) {
		if err := (hub.RepoID{Type: hub.Model, Namespace: name, Name: "x"}).Check(); err != nil || name == "" {
			return fmt.Errorf("%q is not a name for an account", name)
		}
	}
	if u.Role != "" && u.Role != "write" && u.Role != "read" {
		return fmt.Errorf("the role of %s is write or read, not %q", u.Name, u.Role)
	}
	sum, hashed := strings.CutPrefix(u.Token, "sha256:")
	switch {
	case u.Token == "":
		return fmt.Errorf("%s has no token", u.Name)
	case !hashed:
		u.Token = hash(u.Token)
	case len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "":
		return fmt.Errorf("the token of %s is not sha256: and 64 hex digits", u.Name)
	}
	return nil
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// A File is a file of users that may change at any time.
type File struct {
	path string

	mu   sync.Mutex
	size int64
	time time.Time
	list []User
}

// Open returns the file of a Hub's folder. It need not be there.
func Open(dir string) *File { return &File{path: filepath.Join(dir, FileName)} }

// Users returns all users, as the file has them now.
func (f *File) Users() ([]User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.list, f.size = nil, -1
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	if f.size == info.Size() && f.time.Equal(info.ModTime()) {
		return f.list, nil
	}
	data, err := readBounded(f.path)
	if err != nil {
		return nil, err
	}
	list, err := Parse(data)
	if err != nil {
		return nil, err
	}
	f.list, f.size, f.time = list, info.Size(), info.ModTime()
	return list, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return data, nil
}

// Find finds whose token it is, in a time that tells nothing of the others.
func (f *File) Find(token string) (found User, ok bool, err error) {
	list, err := f.Users()
	if err != nil || token == "" {
		return User{}, false, err
	}
	want := []byte(hash(token))
	for _, u := range list {
		if subtle.ConstantTimeCompare(want, []byte(u.Token)) == 1 {
			found, ok = u, true
		}
	}
	return found, ok, nil
}

// Add adds a user with a fresh token, which it returns. What people wrote into
// the file stays.
func Add(dir string, u User) (token string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("add user: %w", err)
	}
	path := filepath.Join(dir, FileName)
	l := flock.New(path + ".lock")
	if err := l.Lock(); err != nil {
		return "", fmt.Errorf("add user: %w", err)
	}
	defer l.Close()
	data, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = []byte(head), nil
	}
	if err != nil {
		return "", err
	}
	before, err := Parse(data)
	if err != nil {
		return "", err
	}
	token = newToken()
	u.Token = hash(token)
	if err := u.check(); err != nil {
		return "", fmt.Errorf("add user: %w", err)
	}
	more, err := yaml.Marshal([]User{u})
	if err != nil {
		return "", fmt.Errorf("add user: %w", err)
	}
	data = append(append(bytes.TrimRight(data, "\n"), '\n'), more...)
	if after, err := Parse(data); err != nil || len(after) != len(before)+1 {
		return "", fmt.Errorf("add user: %s is not a plain list that can be added to; add by hand: name: %s, token: %s", path, u.Name, u.Token)
	}
	return token, replace(path, data)
}

// newToken is shaped like the Hub's, so that clients take it for one.
func newToken() string {
	raw := make([]byte, 20)
	rand.Read(raw)
	return "hf_" + strings.ToLower(base32.StdEncoding.EncodeToString(raw))
}

// replace puts data at path in one step.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".users-*")
	if err != nil {
		return fmt.Errorf("write users: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed, as it should
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write users: %w", err)
	}
	return nil
}
