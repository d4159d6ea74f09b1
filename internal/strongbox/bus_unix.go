//go:build unix && !darwin

package strongbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/godbus/dbus/v5"
)

// A bus is the Secret Service of freedesktop.org, which GNOME Keyring, KWallet and
// KeePassXC speak, on the person's message bus at that address.
type bus struct{ address string }

// Names of the Secret Service.
const (
	secrets    = "org.freedesktop.secrets"
	secretRoot = "/org/freedesktop/secrets"
	secretWord = "org.freedesktop.Secret."
)

// system is the bus of the person's session, nil if there is none. None is
// started, and none is asked over a network.
func system(getenv func(string) string) Ring {
	address := getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		dir := getenv("XDG_RUNTIME_DIR")
		if dir == "" {
			dir = fmt.Sprintf("/run/user/%d", os.Getuid())
		}
		path := filepath.Join(dir, "bus")
		if info, err := os.Stat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
			return nil
		}
		address = "unix:path=" + dbus.EscapeBusAddressValue(path)
	}
	for part := range strings.SplitSeq(address, ";") {
		if strings.HasPrefix(part, "unix:") {
			return bus{part}
		}
	}
	return nil
}

// call asks for something and stores the answer.
func call(ctx context.Context, c *dbus.Conn, path dbus.ObjectPath, method string, args []any, answer ...any) error {
	if err := c.Object(secrets, path).CallWithContext(ctx, method, 0, args...).Store(answer...); err != nil {
		if d, ok := errors.AsType[dbus.Error](err); ok && (d.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || d.Name == "org.freedesktop.DBus.Error.NameHasNoOwner") {
			return errors.New("no keyring runs on this desktop")
		}
		return fmt.Errorf("ask the keyring: %w", err)
	}
	return nil
}

// with connects for as long as do runs, and not longer than ctx.
func (b bus) with(ctx context.Context, do func(c *dbus.Conn, session dbus.ObjectPath) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := dbus.Connect(b.address, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("connect to the desktop's message bus: %w", err)
	}
	defer c.Close() //nolint:errcheck // it has answered
	var none dbus.Variant
	var session dbus.ObjectPath
	// The bus is of this machine and this person, so secrets are not encrypted on it.
	if err := call(ctx, c, secretRoot, secretWord+"Service.OpenSession", []any{"plain", dbus.MakeVariant("")}, &none, &session); err != nil {
		return err
	}
	return do(c, session)
}

func attributes(name string) map[string]string {
	return map[string]string{"service": service, "username": name}
}

// find returns the items of that name, and those that are locked.
func find(ctx context.Context, c *dbus.Conn, name string) (open, locked []dbus.ObjectPath, err error) {
	err = call(ctx, c, secretRoot, secretWord+"Service.SearchItems", []any{attributes(name)}, &open, &locked)
	return open, locked, err
}

// unlock unlocks what needs no word of the person.
func unlock(ctx context.Context, c *dbus.Conn, paths ...dbus.ObjectPath) error {
	var done []dbus.ObjectPath
	var prompt dbus.ObjectPath
	if err := call(ctx, c, secretRoot, secretWord+"Service.Unlock", []any{paths}, &done, &prompt); err != nil {
		return err
	}
	return unasked(prompt)
}

// unasked is an error if the keyring wants to ask the person: it is not let.
func unasked(prompt dbus.ObjectPath) error {
	if prompt != "/" {
		return ErrLocked
	}
	return nil
}

// A parcel is a secret as it is sent.
type parcel struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

// Get implements Ring.
func (b bus) Get(ctx context.Context, name string) (secret []byte, err error) {
	err = b.with(ctx, func(c *dbus.Conn, session dbus.ObjectPath) error {
		open, locked, err := find(ctx, c, name)
		if err == nil && len(open) == 0 && len(locked) > 0 {
			err = unlock(ctx, c, locked...)
			open = locked
		}
		if err != nil {
			return err
		}
		if len(open) == 0 {
			return ErrNone
		}
		var p parcel
		err = call(ctx, c, open[0], secretWord+"Item.GetSecret", []any{session}, &p)
		secret = p.Value
		return err
	})
	return secret, err
}

// Set implements Ring.
func (b bus) Set(ctx context.Context, name string, secret []byte) error {
	return b.with(ctx, func(c *dbus.Conn, session dbus.ObjectPath) error {
		var collection dbus.ObjectPath
		if err := call(ctx, c, secretRoot, secretWord+"Service.ReadAlias", []any{"default"}, &collection); err != nil {
			return err
		}
		if collection == "/" {
			return errors.New("the keyring has no default collection")
		}
		if err := unlock(ctx, c, collection); err != nil {
			return err
		}
		properties := map[string]dbus.Variant{
			secretWord + "Item.Label":      dbus.MakeVariant(service + ": " + name),
			secretWord + "Item.Attributes": dbus.MakeVariant(attributes(name)),
		}
		var item, prompt dbus.ObjectPath
		p := parcel{session, []byte{}, secret, "text/plain; charset=utf8"}
		if err := call(ctx, c, collection, secretWord+"Collection.CreateItem", []any{properties, p, true}, &item, &prompt); err != nil {
			return err
		}
		return unasked(prompt)
	})
}

// Delete implements Ring.
func (b bus) Delete(ctx context.Context, name string) error {
	return b.with(ctx, func(c *dbus.Conn, _ dbus.ObjectPath) error {
		open, locked, err := find(ctx, c, name)
		if err == nil && len(locked) > 0 {
			err = unlock(ctx, c, locked...)
		}
		if err != nil {
			return err
		}
		for _, item := range append(open, locked...) {
			var prompt dbus.ObjectPath
			if err := call(ctx, c, item, secretWord+"Item.Delete", nil, &prompt); err != nil {
				return err
			}
			if err := unasked(prompt); err != nil {
				return err
			}
		}
		return nil
	})
}
