// Package confine runs commands behind walls that the kernel keeps: they write
// only where they may, do not read what is secret, see no other process, and
// reach no network.
//
// Its one rule: a wall that cannot be put up is an error, never a gap. Who
// wants to go without must say so before.
//
// A command runs in a cell: this program started again as ConfinedCommand, in
// namespaces of its own, of which it is the first process. A cell runs one
// command at a time and ends all that the command started before it takes the
// next. Cells owns the cells; a cell dies with the process that started it.
package confine

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ConfinedCommand is the hidden command as which this program is a cell.
const ConfinedCommand = "confined"

// Rules say what a command may do. Paths are absolute. Of two that contain
// each other the longer one counts; what is Hidden is weaker than what is
// Writable or Readable below it.
type Rules struct {
	Writable  []string // with all below; what does not exist is left out
	Hidden    []string // cannot even be read
	Readable  []string // below something hidden, or new since the cell was made
	Protected []string // below something writable, and not to be changed
	Trees     []string // in them repositories of git, at any depth, are protected too
	Temp      string   // the folder that commands see as /tmp; must exist
	GPUs      bool     // the accelerators of this machine too
	Devices   []string // device nodes beyond null, zero, full, random and urandom; those of GPUs are added
	Limits    Limits

	// Aside is a folder that keeps what a command made in a protected place, and
	// lost; "" keeps nothing.
	Aside string

	// Journal is a folder for what Recover must know of commands that run; "" for
	// none.
	Journal string `json:",omitempty"`

	// Settled says that the links in Writable and Readable have been followed. A
	// link that a command puts in their place later leads nowhere.
	Settled bool `json:",omitempty"`

	// Network leaves commands the network of this machine. Without it and without
	// Serve or Exit they have none.
	Network bool

	// Bare says that there are no namespaces; Become and Watch need to be told.
	Bare bool `json:",omitempty"`

	// Serve is a proxy for commands that have no network of their own: it is
	// called once for each cell, in a goroutine, with a listener that only the
	// commands in it reach, until the listener is closed. May be nil.
	Serve func(net.Listener) `json:"-"`

	// Address names variables that commands find the proxy's own address in, as
	// a URL: what it is besides a proxy.
	Address []string `json:",omitempty"`

	// Exit is the descriptor on which Become hands out the listener of the proxy,
	// and those of Bridges: ports of its own loopback that lead to the same ones of
	// the machine's. 0 for no way out. Rules.Way sets both.
	Exit    int   `json:",omitempty"`
	Bridges []int `json:",omitempty"`
}

// Limits of one command; 0 leaves what this process has.
type Limits struct {
	Memory    uint64 // bytes of data of one process
	Processes uint64 // of all processes and threads
	CPU       uint64 // seconds of one process
	FileSize  uint64 // bytes
	Files     uint64 // open in one process
}

// A Command is a program to run in a cell.
type Command struct {
	Path   string
	Args   []string // with the program's name
	Env    []string
	Dir    string
	Output *os.File // standard output and error
}

// A Result is how a command ended.
type Result struct {
	Code  int      // exit status; 128+signal if a signal ended it
	Notes []string // what was undone afterwards, in sentences
}

// Hides reports whether commands cannot read the file of that real path.
func (r Rules) Hides(path string) bool {
	hidden := longest(r.Hidden, path)
	if hidden < 0 {
		return false
	}
	shown := max(longest(r.Writable, path), longest(r.Readable, path))
	return hidden >= shown
}

// Protects reports whether the path is one that commands may not change though
// all around it is writable.
func (r Rules) Protects(path string) bool {
	return longest(r.Protected, path) >= 0
}

// Writes reports whether commands may write the path.
func (r Rules) Writes(path string) bool {
	return longest(r.Writable, path) >= 0 && !r.Protects(path) && !r.Hides(path)
}

// longest is the length of the longest of dirs that path is, or is below; -1
// if there is none.
func longest(dirs []string, path string) int {
	best := -1
	for _, dir := range dirs {
		if within(dir, path) {
			best = max(best, len(dir))
		}
	}
	return best
}

// within reports whether path is dir or below it. Both are clean.
func within(dir, path string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+string(filepath.Separator))
}

// real is the rules with the links in their paths followed, in the order of
// the paths, so that what contains comes before what is contained.
func (r Rules) real() Rules {
	r = r.Settle().machine()
	r.Hidden, r.Protected = resolved(r.Hidden), resolvedParents(r.Protected)
	r.Trees = resolved(r.Trees)
	slices.Sort(r.Readable)
	r.Readable = slices.Compact(r.Readable)
	r.Protected = slices.DeleteFunc(r.Protected, func(p string) bool { return longest(r.Writable, p) < 0 })
	r.Readable = slices.DeleteFunc(r.Readable, func(p string) bool { return longest(r.Writable, p) > longest(r.Hidden, p) })
	if temp := resolved([]string{r.Temp}); r.Temp != "" {
		r.Temp = temp[0]
	}
	return r
}

// Settle follows the links in what may be written and read, once: commands can
// put others there.
func (r Rules) Settle() Rules {
	if !r.Settled {
		r.Writable, r.Readable, r.Settled = resolved(r.Writable), resolved(r.Readable), true
	}
	return r
}

// resolved are the paths with their links followed; those that lead nowhere stay as
// they are.
func resolved(paths []string) []string {
	var real []string
	f := make(followed)
	for _, p := range paths {
		real = append(real, f.path(p))
	}
	slices.Sort(real)
	return slices.Compact(real)
}

// resolvedParents leaves a link that is itself named as it is: it is the link
// that is protected.
func resolvedParents(paths []string) []string {
	var real []string
	f := make(followed)
	for _, p := range paths {
		if to := f.folder(filepath.Dir(p)); to != "" {
			p = filepath.Join(to, filepath.Base(p))
		}
		real = append(real, filepath.Clean(p))
	}
	slices.Sort(real)
	return slices.Compact(real)
}

// followed are the real paths of folders, "" for one that leads nowhere. The rules
// name hundreds of files in a few dozen folders, and are followed before each
// command: looking each folder up anew was a third of a step's time.
type followed map[string]string

func (f followed) folder(dir string) string {
	real, known := f[dir]
	if !known {
		real, _ = filepath.EvalSymlinks(dir) // "" if it fails
		f[dir] = real
	}
	return real
}

// path is what filepath.EvalSymlinks finds, or the path itself where that fails.
func (f followed) path(p string) string {
	if p != filepath.Clean(p) || !filepath.IsAbs(p) { // a folder above may be a link's
		if to, err := filepath.EvalSymlinks(p); err == nil {
			p = to
		}
		return filepath.Clean(p)
	}
	dir := f.folder(filepath.Dir(p))
	if dir == "" {
		return p
	}
	real := filepath.Join(dir, filepath.Base(p))
	info, err := os.Lstat(real)
	if err == nil && info.Mode()&os.ModeSymlink != 0 {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return p
	}
	return real
}

// ErrUnavailable is the error of a machine that cannot put the walls up.
var ErrUnavailable = errors.New("this machine cannot confine commands")
