package chat

import (
	"slices"
	"strings"

	"ml-intern/internal/agent"
	"ml-intern/internal/app"
	"ml-intern/internal/session"
)

// Say gives a prompt: now, or when the turn that works has ended. "!ls" runs a
// command instead, whose output goes with the next prompt. An empty one sends
// what was held back after a failure.
func (c *Chat) Say(text string) {
	if line, ok := strings.CutPrefix(text, "!"); ok && strings.TrimSpace(line) != "" {
		c.shell(strings.TrimSpace(line))
		return
	}
	if strings.TrimSpace(text) == "!" {
		if c.ctx.Err() == nil {
			c.work.Go(func() { c.notice("! runs a command: say which, as in !ls") })
		}
		return
	}
	if strings.TrimSpace(text) == "" {
		c.release()
		return
	}
	c.Give(c.withPictures(session.Prompt{Text: text}))
}

// Give is Say for a prompt with what the person gives the model to read with it;
// what their own commands printed goes with it as well. No word of it is a command.
func (c *Chat) Give(prompt session.Prompt) {
	c.mu.Lock()
	prompt.Context = strings.TrimSpace(c.takeContext() + "\n\n" + prompt.Context)
	if c.state.Held { // what is said now goes first; what waited follows
		c.queue = slices.Insert(c.queue, 0, prompt)
	} else {
		c.queue = append(c.queue, prompt)
	}
	c.state.Held = false
	if c.endSleep != nil {
		c.endSleep(agent.ErrSpoken)
	}
	c.mu.Unlock()
	c.wake()
}

// release lets prompts go that were held back.
func (c *Chat) release() {
	c.mu.Lock()
	c.state.Held = false
	c.mu.Unlock()
	c.wake()
}

// wake has the conversation look for something to do, and shows what waits.
func (c *Chat) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
	c.tell()
}

// takeContext is what the person's own commands printed since the last prompt.
func (c *Chat) takeContext() string {
	text := strings.Join(c.context, "\n\n")
	c.context = nil
	return text
}

// Steer says something to the turn at work: it is delivered before the next
// model call. With none, or with one that waits, it is a prompt.
func (c *Chat) Steer(text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	c.mu.Lock()
	working := c.endTurn != nil && c.endSleep == nil
	c.mu.Unlock()
	if working { // reading pictures takes a moment
		prompt := c.withPictures(session.Prompt{Text: text, Steer: true})
		c.mu.Lock()
		if working = c.endTurn != nil && c.endSleep == nil; working {
			prompt.Context = c.takeContext()
			c.steers = append(c.steers, prompt)
		}
		c.mu.Unlock()
	}
	if !working {
		c.Say(text)
		return
	}
	c.tell()
}

// Unqueue takes the last prompt that waits back, "" if there is none. Words for
// the turn at work that it has not heard yet come first.
func (c *Chat) Unqueue() (text string) {
	c.mu.Lock()
	from := &c.steers
	if len(c.steers) == 0 {
		from = &c.queue
	}
	if n := len(*from); n > 0 {
		last := (*from)[n-1]
		text, *from = last.Text, (*from)[:n-1]
		if last.Context != "" {
			c.context = append([]string{last.Context}, c.context...)
		}
	}
	c.state.Held = c.state.Held && len(c.queue) > 0
	c.mu.Unlock()
	c.tell()
	return text
}

// Stop ends the turn within a second, also one that is about to begin, and a
// command such as /compact. With none it ends the commands of the person's own.
// Prompts that wait are held back.
func (c *Chat) Stop() {
	c.mu.Lock()
	switch {
	case c.endTurn != nil:
		c.setPhase(Stopping)
		c.endTurn(app.ErrInterrupted)
	case c.endWork != nil, c.begun, c.goOn:
		if c.endWork != nil {
			c.setPhase(Stopping)
			c.endWork(app.ErrInterrupted)
		}
		c.stopped = c.begun || c.goOn
		c.state.Held = !c.stopped && len(c.queue) > 0
	case len(c.queue) > 0:
		c.state.Held = true
	default:
		for _, end := range c.shells {
			end(app.ErrInterrupted)
		}
	}
	c.mu.Unlock()
	c.tell()
}

// Busy reports whether a turn or a command of the person's own is at work or
// about to begin. Updates may not show it yet.
func (c *Chat) Busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun || c.goOn || len(c.queue) > 0 && !c.state.Held || len(c.shells) > 0
}

// next is what the next turn is about.
func (c *Chat) next() (session.Prompt, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.goOn:
		c.goOn, c.begun = false, true
		return session.Prompt{}, true
	case len(c.queue) == 0 || c.state.Held:
		return session.Prompt{}, false
	}
	c.begun = true
	prompt := c.queue[0]
	c.queue = c.queue[1:]
	return prompt, true
}

// inbox is what a turn at work is told; it is taken out when it is seen as an
// event.
func (c *Chat) inbox() []session.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []session.Event
	for _, chose := range c.choices {
		all = append(all, session.Event{Chose: &chose})
	}
	for _, prompt := range c.steers {
		all = append(all, session.Event{Prompt: &prompt})
	}
	return all
}

// heard takes out what has arrived.
func (c *Chat) heard(ev session.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case ev.Chose != nil && len(c.choices) > 0:
		c.choices = c.choices[1:]
	case ev.Prompt != nil && ev.Prompt.Steer && len(c.steers) > 0:
		c.steers = c.steers[1:]
	}
}

// giveBack puts a prompt that did not become part of the session first again.
func (c *Chat) giveBack(prompt session.Prompt) {
	if prompt.Text == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = slices.Insert(c.queue, 0, prompt)
}
