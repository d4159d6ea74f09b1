package hub

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// notes is a folder in which uploads leave what spares a later one work. All of
// it can be lost: then the work is done again. The zero notes keep nothing.
type notes struct{ dir string }

// noteAge is after how long a note is of no use to anybody.
const noteAge = 14 * 24 * time.Hour

func openNotes(dir string) (notes, error) {
	if dir == "" {
		return notes{}, nil
	}
	n := notes{dir}
	for _, sub := range []string{"sums", "parts"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return notes{}, fmt.Errorf("open memory of uploads: %w", err)
		}
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			return notes{}, fmt.Errorf("open memory of uploads: %w", err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > noteAge {
				os.Remove(filepath.Join(dir, sub, e.Name())) // the next upload tries again
			}
		}
	}
	return n, nil
}

func (n notes) path(sub string, key ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	return filepath.Join(n.dir, sub, hex.EncodeToString(sum[:16]))
}

// A sumNote is the hash of a file as it was.
type sumNote struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // nanoseconds
	SHA256  string `json:"sha256"`
}

func (n notes) sumPath(local string) string {
	if abs, err := filepath.Abs(local); err == nil {
		local = abs
	}
	return n.path("sums", local)
}

// sum is the hash of a file that has not changed since it was kept, else "".
func (n notes) sum(local string, size int64, changed time.Time) string {
	if n.dir == "" {
		return ""
	}
	data, err := os.ReadFile(n.sumPath(local))
	var s sumNote
	if err != nil || json.Unmarshal(data, &s) != nil || s.Size != size || s.Changed != changed.UnixNano() || len(s.SHA256) != 64 {
		return ""
	}
	return s.SHA256
}

// freshness is how long a file must have been left alone: one that changes
// again within a tick of the file system's clock looks the same.
const freshness = 2 * time.Second

func (n notes) keepSum(local string, size int64, changed time.Time, sum string) {
	if n.dir == "" || time.Since(changed) < freshness {
		return
	}
	if data, err := json.Marshal(sumNote{local, size, changed.UnixNano(), sum}); err == nil {
		n.write(n.sumPath(local), data)
	}
}

// forgetSum is for a file that turned out to be another.
func (n notes) forgetSum(local string) {
	if n.dir != "" && local != "" {
		os.Remove(n.sumPath(local))
	}
}

// write replaces a note in one step, or not at all.
func (n notes) write(path string, data []byte) {
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
}

// A partsNote is an upload in parts: the addresses, and the storage's tag of
// each part that has arrived. On the disk it is a line of JSON and then one line
// for each part, so that a part costs a line.
type partsNote struct {
	path string
	up   lfsAction
	tags map[int]string
}

type partLine struct {
	Number int    `json:"part"`
	Tag    string `json:"etag"`
}

func (n notes) partsPath(c *Client, repo RepoID, u *upload) string {
	return n.path("parts", c.base(), repo.Path(), u.sha256)
}

// parts reads what an earlier upload of the same content left, nil if nothing.
func (n notes) parts(c *Client, repo RepoID, u *upload) *partsNote {
	if n.dir == "" {
		return nil
	}
	p := &partsNote{path: n.partsPath(c, repo, u), tags: map[int]string{}}
	data, err := os.ReadFile(p.path)
	if err != nil {
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &p.up) != nil || p.up.Href == "" {
		return nil
	}
	if _, err := p.up.parts(u.size); err != nil {
		return nil
	}
	for lines.Scan() {
		var l partLine
		if json.Unmarshal(lines.Bytes(), &l) == nil { // some are empty, or were cut off
			p.tags[l.Number] = l.Tag
		}
	}
	return p
}

// begin starts the note of an upload.
func (n notes) begin(c *Client, repo RepoID, u *upload, up lfsAction) *partsNote {
	p := &partsNote{up: up, tags: map[int]string{}}
	if n.dir == "" {
		return p
	}
	p.path = n.partsPath(c, repo, u)
	if data, err := json.Marshal(up); err == nil {
		n.write(p.path, append(data, '\n'))
	}
	return p
}

// add notes that a part has arrived.
func (p *partsNote) add(number int, tag string) {
	if p.path == "" {
		return
	}
	line, err := json.Marshal(partLine{number, tag})
	if err != nil {
		return
	}
	f, err := os.OpenFile(p.path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	// The line begins with an end, too: the one before it may have been cut off.
	_, _ = f.Write(append(append([]byte{'\n'}, line...), '\n'))
}

func (p *partsNote) forget() {
	if p != nil && p.path != "" {
		os.Remove(p.path)
	}
}
