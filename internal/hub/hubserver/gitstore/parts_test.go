package gitstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// Parts come in any order and at once, some of them broken off or twice. What
// is joined has the hash that was announced, or nothing is.
func TestParts(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	const chunk, size = 100_000, 7*100_000 + 5
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{4}).Read(data) // never fails
	upload := strings.Repeat("ab", 16)
	l := gitstore.Large{OID: sumOf(data), Size: size}
	section := func(n int) []byte { return data[(n-1)*chunk : min(n*chunk, size)] }
	put := func(n int, r io.Reader) (string, error) {
		return s.PutPart(t.Context(), gitstore.Part{Upload: upload, Number: n, Offset: int64(n-1) * chunk, Size: int64(len(section(n)))}, r)
	}
	if err := s.Assemble(t.Context(), l, "me", upload, []string{strings.Repeat("0", 32)}); !errors.Is(err, gitstore.ErrInvalid) {
		t.Errorf("nothing was joined: %v", err)
	}
	tags := make([]string, 8)
	var wg sync.WaitGroup
	for n := 8; n >= 1; n-- {
		wg.Go(func() {
			if n%2 == 0 {
				if _, err := put(n, io.MultiReader(bytes.NewReader(section(n)[:3]), broken{})); err == nil {
					t.Error("a part that was cut passed")
				}
				if _, err := put(n, bytes.NewReader(append(section(n)[:len(section(n)):len(section(n))], 1))); !errors.Is(err, gitstore.ErrInvalid) {
					t.Errorf("a part that is too long is %v", err)
				}
			}
			tag, err := put(n, bytes.NewReader(section(n)))
			if err != nil {
				t.Error(err)
			}
			tags[n-1] = tag
		})
	}
	wg.Wait()
	// One is spoiled after it was whole: its tag is worth nothing any more.
	good := tags[3]
	if _, err := put(4, io.MultiReader(strings.NewReader("spoiled"), broken{})); err == nil {
		t.Error("a part that was cut passed")
	}
	if err := s.Assemble(t.Context(), l, "me", upload, tags); !errors.Is(err, gitstore.ErrInvalid) || s.HasLarge(l) {
		t.Errorf("a spoiled upload was joined: %v", err)
	}
	var err error
	if tags[3], err = put(4, bytes.NewReader(section(4))); err != nil || tags[3] == good {
		t.Fatalf("again it is %s, %v", tags[3], err)
	}
	// Others that are whole but wrong are found by the hash.
	wrong, err := put(2, bytes.NewReader(make([]byte, chunk)))
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]string(nil), tags...)
	bad[1] = wrong
	if err := s.Assemble(t.Context(), l, "me", upload, bad); !errors.Is(err, gitstore.ErrInvalid) || s.HasLarge(l) {
		t.Errorf("wrong content was joined: %v", err)
	}
	if tags[1], err = put(2, bytes.NewReader(section(2))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Assemble(t.Context(), l, "me", upload, tags); err != nil || !s.HasLarge(l) {
			t.Fatalf("it was not joined: %v", err)
		}
	}
	f, err := s.OpenLarge(l.OID)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are there, %v", len(got), err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "parts")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
