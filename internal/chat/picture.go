package chat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/clipboard"
	"ml-intern/internal/llm"
	"ml-intern/internal/picture"
	"ml-intern/internal/session"
)

// keptCopies is how many pictures of the clipboard a chat holds.
const keptCopies = 20

// Copied takes the picture that the person has copied, and returns the words that
// put it into a prompt: "@clipboard-1.png".
func (c *Chat) Copied() (mention string, err error) {
	held, err := c.takeCopy()
	if err != nil {
		return "", err
	}
	return "@" + held.Name, nil
}

func (c *Chat) takeCopy() (*llm.Image, error) {
	data, err := clipboard.Clipboard{Getenv: c.cfg.Getenv}.Picture(c.ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.copies++
	n := c.copies
	c.mu.Unlock()
	held, err := picture.New(fmt.Sprintf("clipboard-%d", n), data)
	if err != nil {
		return nil, fmt.Errorf("the clipboard: %w", err)
	}
	held.Name += "." + held.MediaType[len("image/"):]
	c.hold(held)
	return held, nil
}

// hold has prompts find a picture that is no file, by its name.
func (c *Chat) hold(p *llm.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = slices.DeleteFunc(c.held, func(old *llm.Image) bool { return old.Name == p.Name })
	if len(c.held) >= keptCopies {
		c.held = c.held[1:]
	}
	c.held = append(c.held, p)
}

// holdAll holds the pictures of a prompt that is taken back and are no files.
func (c *Chat) holdAll(prompt session.Prompt) {
	for _, p := range prompt.Pictures {
		found, _ := c.finder().Find(`@"` + p.Name + `"`)
		other := len(found) > 0 && copyNumber(p.Name) > 0 && found[0].SHA256 != p.SHA256 // a copy of another session
		if p.Data != nil && (len(found) == 0 || other) {
			c.hold(p)
		}
	}
}

// copyNumber is the number in the name of a picture that was copied, 0 if it is
// no such name.
func copyNumber(name string) int {
	rest, ok := strings.CutPrefix(name, "clipboard-")
	number, _, dot := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if !ok || !dot || err != nil {
		return 0
	}
	return n
}

// countCopies has the pictures that are copied from now on take other names than
// those in the session: one name is one picture.
func (c *Chat) countCopies(events []session.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ev := range events {
		if ev.Prompt == nil {
			continue
		}
		for _, p := range ev.Prompt.Pictures {
			c.copies = max(c.copies, copyNumber(p.Name))
		}
	}
}

// finder finds the pictures that prompts name.
func (c *Chat) finder() picture.Finder {
	return picture.Finder{Dir: c.dir(), Home: c.cfg.Getenv("HOME"), Held: func(name string) *llm.Image {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.held {
			if p.Name == name {
				return p
			}
		}
		return nil
	}}
}

// withPictures puts the pictures into a prompt that it names, as they are now,
// and says which it cannot have. It waits for no reader.
func (c *Chat) withPictures(prompt session.Prompt) session.Prompt {
	var errs []error
	prompt.Pictures, errs = c.finder().Find(prompt.Text)
	if len(errs) > 0 && c.ctx.Err() == nil {
		c.work.Go(func() {
			for _, err := range errs {
				c.notice("not sent as a picture: %v", err)
			}
		})
	}
	return prompt
}

// paste is the command for a terminal that keeps Ctrl+V for itself.
func (c *Chat) paste(string) (Result, error) {
	held, err := c.takeCopy()
	if err != nil {
		return Result{}, err
	}
	return Result{Text: fmt.Sprintf("`@%s` is the %s: write that name in your prompt.", held.Name, held), Insert: "@" + held.Name + " "}, nil
}
