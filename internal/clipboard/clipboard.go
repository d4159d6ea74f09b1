// Package clipboard reads the picture that the person has copied.
//
// Its one rule: it reads when the person asks, with a program of their own, and
// what it brings is bounded and trusted in nothing. It owns nothing.
package clipboard

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// ErrEmpty says that there is no picture in the clipboard.
var ErrEmpty = errors.New("there is no picture in the clipboard")

// Limits of what is read.
const (
	mostBytes = 32 << 20
	longest   = 5 * time.Second // a program may wait for another one that owns the clipboard
)

// A Clipboard is that of one desktop. The zero Clipboard is this machine's, of
// which nothing is known by the environment.
type Clipboard struct {
	System string              // runtime.GOOS if empty
	Getenv func(string) string // nil for an empty environment
}

// A source is a way to a picture: a program that lists what the clipboard has,
// and one that writes it out.
type source struct {
	program string
	list    []string              // arguments that list the types; nil if there is no such list
	get     func(string) []string // arguments that write the type out
	decode  func([]byte) ([]byte, error)
}

// Picture is the bytes of the picture. The error says what to install or to do
// if there is no way to it.
func (c Clipboard) Picture(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("the clipboard did not answer in %v", longest))
	defer cancel()
	sources, install := c.sources()
	for _, s := range sources {
		path, err := exec.LookPath(s.program)
		if err != nil {
			continue
		}
		return s.read(ctx, path)
	}
	return nil, errors.New(install + "; or save the picture and write @ and its name")
}

// sources are the programs that may be there, and what to say if none is.
func (c Clipboard) sources() (all []source, install string) {
	getenv := c.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	system := c.System
	if system == "" {
		system = runtime.GOOS
	}
	wayland := source{"wl-paste", []string{"--list-types"}, func(kind string) []string { return []string{"--no-newline", "--type", kind} }, nil}
	x := source{"xclip", []string{"-selection", "clipboard", "-t", "TARGETS", "-o"}, func(kind string) []string { return []string{"-selection", "clipboard", "-t", kind, "-o"} }, nil}
	switch {
	case system == "darwin":
		return []source{
			{"pngpaste", nil, func(string) []string { return []string{"-"} }, nil},
			{"osascript", nil, func(string) []string { return []string{"-e", "get the clipboard as «class PNGf»"} }, appleData},
		}, "no program reads the clipboard: install pngpaste"
	case system == "windows":
		return nil, "pictures in the clipboard of Windows are not read"
	case getenv("WAYLAND_DISPLAY") != "" && getenv("DISPLAY") != "":
		return []source{wayland, x}, "no program reads the clipboard: install wl-clipboard or xclip"
	case getenv("WAYLAND_DISPLAY") != "":
		return []source{wayland}, "no program reads the clipboard: install wl-clipboard"
	case getenv("DISPLAY") != "":
		return []source{x}, "no program reads the clipboard: install xclip"
	case getenv("SSH_CONNECTION") != "":
		return nil, "the clipboard is on another machine than ml-intern: copy the picture here"
	}
	return nil, "there is no desktop here, so no clipboard"
}

// read writes the first picture out that models take.
func (s source) read(ctx context.Context, path string) ([]byte, error) {
	kind := "image/png"
	if s.list != nil {
		types, err := output(ctx, path, s.list)
		if err != nil && context.Cause(ctx) != nil {
			return nil, fmt.Errorf("read the clipboard: %w", err)
		}
		if kind = chosen(string(types)); kind == "" { // also if it fails: nothing was copied
			return nil, ErrEmpty
		}
	}
	data, err := output(ctx, path, s.get(kind))
	_, refused := errors.AsType[*exec.ExitError](err)
	switch {
	case refused && s.list == nil, err == nil && len(data) == 0:
		return nil, ErrEmpty
	case err != nil:
		return nil, fmt.Errorf("read the clipboard: %w", err)
	}
	if s.decode != nil {
		return s.decode(data)
	}
	return data, nil
}

// chosen is the type to ask for.
func chosen(types string) string {
	for _, kind := range []string{"image/png", "image/jpeg", "image/webp", "image/gif"} {
		for _, t := range strings.Fields(types) {
			if t == kind {
				return kind
			}
		}
	}
	return ""
}

// appleData is the data that AppleScript writes as «data PNGf89504E47…».
func appleData(text []byte) ([]byte, error) {
	_, digits, ok := bytes.Cut(bytes.TrimSpace(text), []byte("PNGf"))
	digits, closed := bytes.CutSuffix(digits, []byte("»"))
	data := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(data, digits); err != nil || !ok || !closed {
		return nil, ErrEmpty
	}
	return data, nil
}

// output is what a program writes, which is bounded.
func output(ctx context.Context, path string, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	data, readErr := io.ReadAll(io.LimitReader(out, mostBytes+1))
	if len(data) > mostBytes {
		_ = cmd.Process.Kill() // it has more to say than anybody wants
		_ = cmd.Wait()
		return nil, fmt.Errorf("it has more than %d MB", mostBytes>>20)
	}
	err = cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return data, errors.Join(err, readErr)
}
