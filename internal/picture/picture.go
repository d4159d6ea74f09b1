// Package picture makes of a file what a model can look at, and finds the
// pictures that a prompt names.
//
// Its one rule: a file is what its bytes say, not what its name says, and
// nothing is decoded before its size is known. It owns nothing.
package picture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"

	"ml-intern/internal/llm"
)

// Limits of pictures.
const (
	// Edge is the longest side that is sent: providers make a picture smaller that
	// is larger, and count its tokens after that.
	Edge = 1568
	// MostBytes is the most of one picture that is sent. Providers take 5 MB and
	// more; this one also has to be kept, and sent with every step.
	MostBytes = 1 << 20
	// MostFile is the largest file that is looked into.
	MostFile = 32 << 20

	mostPixels = 40_000_000 // that are decoded: 160 MB of memory, twice that at 16 bits
	webpEdge   = 2000       // of what cannot be made smaller here; what all providers take of many
)

// ErrNone says that something is no picture of a kind that models take.
var ErrNone = errors.New("no PNG, JPEG, GIF or WebP picture")

// ErrMissing says that there is no file of a name that is like a picture's.
var ErrMissing = errors.New("there is no such file")

// ErrOutside says that a picture is not in the working folder, where it must be.
var ErrOutside = errors.New("it is outside the working folder, and the prompt came from standard input")

// Kind is the media type of a picture by its first bytes, "" for anything else.
func Kind(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return "image/gif"
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return "image/webp"
	}
	return ""
}

// New makes a picture of the bytes of a file: as they are if they are small
// enough, else made smaller. It fails with ErrNone if they are no picture, and
// with words about what is wrong with it if they are a broken or a huge one.
func New(name string, data []byte) (*llm.Image, error) {
	kind := Kind(data)
	if kind == "" {
		return nil, ErrNone
	}
	if kind == "image/png" {
		data = mendPNG(data)
	}
	size, err := sizeOf(kind, data)
	if err != nil {
		return nil, fmt.Errorf("read the header of the picture: %w", err)
	}
	pixels := int64(size.X) * int64(size.Y)
	switch {
	case size.X <= 0 || size.Y <= 0:
		return nil, errors.New("the picture has no size")
	case pixels > mostPixels:
		return nil, fmt.Errorf("the picture has %d×%d points, more than %d million: make it smaller", size.X, size.Y, mostPixels/1_000_000)
	case kind == "image/webp" && (max(size.X, size.Y) > webpEdge || len(data) > MostBytes):
		return nil, fmt.Errorf("the WebP picture has %d×%d points and %d bytes, more than %d at a side or %d bytes, and WebP cannot be made smaller here: make a PNG or JPEG of it", size.X, size.Y, len(data), webpEdge, MostBytes)
	case kind == "image/webp":
		return made(name, kind, size, data), nil
	}
	decoded, err := decode(kind, data) // also of what goes as it is: a broken one would be refused for ever
	if err != nil {
		return nil, fmt.Errorf("read the picture: %w", err)
	}
	size = decoded.Bounds().Size()
	if size.X <= 0 || size.Y <= 0 || int64(size.X)*int64(size.Y) > mostPixels {
		return nil, errors.New("the picture is not of the size that it says")
	}
	if max(size.X, size.Y) <= Edge && len(data) <= MostBytes {
		return made(name, kind, size, data), nil
	}
	kind, size, data, err = shrunk(kind, decoded)
	if err != nil {
		return nil, fmt.Errorf("make the picture smaller: %w", err)
	}
	return made(name, kind, size, data), nil
}

func made(name, kind string, size image.Point, data []byte) *llm.Image {
	sum := sha256.Sum256(data)
	return &llm.Image{
		Name: name, MediaType: kind, Width: size.X, Height: size.Y,
		Bytes: len(data), SHA256: hex.EncodeToString(sum[:]), Data: data,
	}
}

// sizeOf reads a picture's header.
func sizeOf(kind string, data []byte) (image.Point, error) {
	var c image.Config
	var err error
	r := bytes.NewReader(data)
	switch kind {
	case "image/png":
		c, err = png.DecodeConfig(r)
	case "image/jpeg":
		c, err = jpeg.DecodeConfig(r)
	case "image/gif":
		c, err = gif.DecodeConfig(r)
	default:
		return webpSize(data)
	}
	return image.Pt(c.Width, c.Height), err
}

// decode reads a picture; of a GIF that moves the first one.
func decode(kind string, data []byte) (image.Image, error) {
	r := bytes.NewReader(data)
	switch kind {
	case "image/png":
		return png.Decode(r)
	case "image/jpeg":
		return jpeg.Decode(r)
	}
	return gif.Decode(r)
}

var errWebP = errors.New("it is no whole WebP header")

// webpSize reads the size of a WebP picture: that of its canvas, of a lossy
// frame or of a lossless one (developers.google.com/speed/webp/docs/riff_container).
func webpSize(data []byte) (image.Point, error) {
	if len(data) < 30 {
		return image.Point{}, errWebP
	}
	body := data[20:]
	le := func(b []byte) int { return int(b[0]) | int(b[1])<<8 }
	switch string(data[12:16]) {
	case "VP8X":
		w, h := le(body[4:])|int(body[6])<<16, le(body[7:])|int(body[9])<<16
		return image.Pt(w+1, h+1), nil
	case "VP8 ":
		if body[3] != 0x9d || body[4] != 0x01 || body[5] != 0x2a {
			return image.Point{}, errWebP
		}
		return image.Pt(le(body[6:])&0x3fff, le(body[8:])&0x3fff), nil
	case "VP8L":
		if body[0] != 0x2f {
			return image.Point{}, errWebP
		}
		bits := le(body[1:]) | le(body[3:])<<16
		return image.Pt(bits&0x3fff+1, bits>>14&0x3fff+1), nil
	}
	return image.Point{}, errWebP
}
