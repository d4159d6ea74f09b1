package job

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
)

// A Peeker is a Backend whose jobs write on another machine, and that can read
// their metrics files while they run. Where those are on this machine, the error
// is errors.ErrUnsupported.
type Peeker interface {
	// Peek returns what the files have beyond what is known, by their names.
	Peek(ctx context.Context, id string, known map[string]Mark) ([]Piece, error)
}

// A Mark is how far a metrics file was read. Its beginning tells whether it is
// still the same file.
type Mark struct {
	Size  int64
	count int64
	sum   int64
}

// A Piece is what a metrics file has gained.
type Piece struct {
	Name string // in OUTPUT_DIR, with slashes
	Anew bool   // the file begins with it: what was read of that name is another one
	Data []byte
	Mark Mark // behind it
}

// Peek implements Peeker for those that do.
func (s *Set) Peek(ctx context.Context, id string, known map[string]Mark) ([]Piece, error) {
	m, _, err := s.knower(ctx, id)
	if err != nil {
		return nil, err
	}
	p, ok := m.Backend.(Peeker)
	if !ok {
		return nil, fmt.Errorf("peek at the metrics of job %s: %w", id, errors.ErrUnsupported)
	}
	return p.Peek(ctx, id, known)
}

// PeekShell is the half of Peek that runs where the files are: a function of sh,
// peek FOLDER. WritePeek writes what it reads, ReadPeek reads what it writes.
//
//go:embed peek.sh
var PeekShell string

// WritePeek says what is known.
func WritePeek(w io.Writer, known map[string]Mark) error {
	var b strings.Builder
	for name, m := range known {
		fmt.Fprintf(&b, "%d %d %d ./%s\n", m.Size, m.count, m.sum, name)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// What a peek brings at most: a machine that says more does not speak of files.
const (
	mostPieces = 64
	mostPeeked = 4 << 20
)

// ReadPeek reads an answer to its end.
func ReadPeek(from io.Reader) ([]Piece, error) {
	r := bufio.NewReader(from)
	var all []Piece
	var sum int64
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read metrics files: %w", err)
		}
		var p Piece
		var begin, size int64
		head, name, _ := strings.Cut(line, " ./")
		_, err = fmt.Sscanf(head, "%d %d %d %d", &begin, &size, &p.Mark.count, &p.Mark.sum)
		p.Name, p.Anew = path.Clean(strings.TrimSuffix(name, "\n")), begin == 0
		p.Mark.Size = begin + size
		if sum += size; err != nil || !filepath.IsLocal(p.Name) || begin < 0 || size <= 0 || sum > mostPeeked || len(all) == mostPieces {
			return nil, fmt.Errorf("read metrics files: %.100q tells of none", line)
		}
		p.Data = make([]byte, size)
		if _, err := io.ReadFull(r, p.Data); err != nil {
			return nil, fmt.Errorf("read metrics file %s: %w", p.Name, err)
		}
		all = append(all, p)
	}
}
