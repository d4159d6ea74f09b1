package llm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// An Image is a picture for the model to see. It never changes once it is in a
// message: who compares messages compares pointers.
type Image struct {
	Name      string `json:"name,omitempty"` // as the person or the tool calls it
	MediaType string `json:"media_type"`     // image/png, image/jpeg, image/gif or image/webp
	Width     int    `json:"width,omitempty"`
	Height    int    `json:"height,omitempty"`
	Bytes     int    `json:"bytes,omitempty"`
	SHA256    string `json:"sha256,omitempty"` // of Data, by which a store keeps it
	Data      []byte `json:"data,omitempty"`   // nil where a picture is only spoken of, or is lost
}

// Bare is the picture without its data, for who only speaks of it.
func (i *Image) Bare() *Image {
	if i == nil || i.Data == nil {
		return i
	}
	bare := *i
	bare.Data = nil
	if bare.Bytes == 0 {
		bare.Bytes = len(i.Data)
	}
	if bare.SHA256 == "" {
		sum := sha256.Sum256(i.Data)
		bare.SHA256 = hex.EncodeToString(sum[:])
	}
	return &bare
}

// Label names the picture to the model: "picture plot.png, 640×480".
func (i *Image) Label() string {
	label := strings.TrimSpace("picture " + i.Name)
	if i.Width > 0 {
		label += fmt.Sprintf(", %d×%d", i.Width, i.Height)
	}
	return label
}

// String names the picture to a person: "picture plot.png 640×480, 34 KB".
func (i *Image) String() string {
	text := strings.TrimSpace("picture " + i.Name)
	if i.Width > 0 {
		text += fmt.Sprintf(" %d×%d", i.Width, i.Height)
	}
	n := i.Bytes
	if n == 0 {
		n = len(i.Data)
	}
	switch {
	case n == 0:
	case n < 1000:
		text += fmt.Sprintf(", %d bytes", n)
	case n < 1e6:
		text += fmt.Sprintf(", %d KB", (n+500)/1000)
	default:
		text += fmt.Sprintf(", %.1f MB", float64(n)/1e6)
	}
	return text
}

// Unseen is what a model reads in a picture's place: it takes none, or the
// picture is lost.
func (i *Image) Unseen() string {
	if i.Data == nil {
		return "[the " + i.Label() + ", which is not kept any more]"
	}
	return "[the " + i.Label() + ", which this model cannot see]"
}
