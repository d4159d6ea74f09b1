package llmtest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // for their headers
	_ "image/jpeg"
	"image/png"
	"net/http"
	"strings"
)

// PNG is a picture of that size.
func PNG(width, height int) []byte {
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		panic(err) // the size is a test's own
	}
	return out.Bytes()
}

// Limits of pictures of the Messages API
// (platform.claude.com/docs/en/build-with-claude/vision).
const (
	mostPictureBase64 = 5 << 20
	mostPictureEdge   = 8000
	manyPictures      = 20   // above so many
	manyPicturesEdge  = 2000 // each may have no more
	mostPictures      = 100
)

// checkPicture finds what is wrong with a picture in base64, and returns its
// longer side.
func checkPicture(mediaType, data string) (edge int, err error) {
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
	default:
		return 0, fmt.Errorf("image media_type %q is none of image/jpeg, image/png, image/gif, image/webp", mediaType)
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(raw) == 0 {
		return 0, errors.New("image data is not valid base64")
	}
	if is := http.DetectContentType(raw); is != mediaType {
		return 0, fmt.Errorf("the image was specified using the %s media type, but it appears to be a %s image", mediaType, is)
	}
	if mediaType == "image/webp" {
		return 0, nil
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return 0, errors.New("could not process image")
	}
	return max(c.Width, c.Height), nil
}

// pictures counts the pictures of a request to the Messages API.
type pictures struct{ n, edge int }

func (p *pictures) check(b messagesBlock) error {
	if b.Source == nil || b.Source.Type != "base64" {
		return errors.New("an image without its source")
	}
	if len(b.Source.Data) > mostPictureBase64 {
		return fmt.Errorf("image exceeds 5 MB maximum: %d bytes > %d bytes", len(b.Source.Data), mostPictureBase64)
	}
	edge, err := checkPicture(b.Source.MediaType, b.Source.Data)
	if err != nil {
		return err
	}
	if edge > mostPictureEdge {
		return fmt.Errorf("at least one of the image dimensions exceed max allowed size: %d pixels", mostPictureEdge)
	}
	p.n++
	p.edge = max(p.edge, edge)
	switch {
	case p.n > mostPictures:
		return fmt.Errorf("too many images: more than %d", mostPictures)
	case p.n > manyPictures && p.edge > manyPicturesEdge:
		return fmt.Errorf("at least one of the image dimensions exceed max allowed size for many-image requests: %d pixels", manyPicturesEdge)
	}
	return nil
}

// checkChatPart finds what is wrong with a part of a message of chat
// completions, in a message of that role.
func checkChatPart(role string, p chatPart) error {
	switch {
	case p.Type == "text" && p.Text == "":
		return errors.New("a text part is empty")
	case p.Type == "text":
		return nil
	case p.Type != "image_url":
		return fmt.Errorf("there is no part of type %q", p.Type)
	case role != "user":
		return fmt.Errorf("image URLs are only allowed for messages with role 'user', but this message has role %q", role)
	}
	head, data, ok := strings.Cut(strings.TrimPrefix(p.Image.URL, "data:"), ";base64,")
	if !ok || !strings.HasPrefix(p.Image.URL, "data:") {
		return errors.New("invalid image URL")
	}
	_, err := checkPicture(head, data)
	return err
}

// A chatPart is a part of content, as far as the checks look.
type chatPart struct {
	Type  string
	Text  string
	Image struct{ URL string } `json:"image_url"`
}
