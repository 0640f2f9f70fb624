package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rosterdb/roster"
)

// reopen closes the engine and opens it again. Views that are open meanwhile
// hold the Close up, and read on until they end.
func (m *Machine) reopen() error {
	if err := m.close(); err != nil {
		return err
	}
	m.options = m.variant()
	if err := m.open(); err != nil {
		return err
	}
	return m.check(manyUsers)
}

// close closes the engine, under the eyes of the views that are open.
func (m *Machine) close() error {
	closed := make(chan error, 1)
	if len(m.views) == 0 {
		closed <- m.e.Close()
	} else {
		go func() { closed <- m.e.Close() }()
		if err := m.waitClosing(); err != nil {
			return err
		}
		if err := m.checkViews(); err != nil {
			return fmt.Errorf("while closing: %w", err)
		}
		select {
		case err := <-closed:
			return fmt.Errorf("closed (%v) with %d views open", err, len(m.views))
		default:
		}
		if err := m.endViews(); err != nil {
			return err
		}
	}
	if err := <-closed; err != nil {
		return fmt.Errorf("close: %w", err)
	}
	_, err := m.e.Update(context.Background(), func(*roster.Txn) error { return nil })
	if !errors.Is(err, roster.ErrClosed) && !m.options.ReadOnly {
		return fmt.Errorf("update of a closed engine: %w", err)
	}
	return m.e.Close()
}

// waitClosing returns when no view can be opened any more.
func (m *Machine) waitClosing() error {
	for range 1000 {
		err := m.view(func(*roster.Txn) error { return nil })
		if errors.Is(err, roster.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		time.Sleep(100 * time.Microsecond)
	}
	return errors.New("views still open a tenth of a second after Close began")
}

// openReadOnly looks at the folder through an engine that may not write, and
// tries to open it twice.
func (m *Machine) openReadOnly() error {
	if _, err := roster.Open(m.folder(), m.options); !errors.Is(err, roster.ErrLocked) {
		return fmt.Errorf("open of an open folder: %w", err)
	}
	if err := m.close(); err != nil {
		return err
	}
	m.options = m.variant()
	writable := m.options
	m.options.ReadOnly = true
	if err := m.open(); err != nil {
		return fmt.Errorf("read-only: %w", err)
	}
	if err := m.check(manyUsers); err != nil {
		return fmt.Errorf("read-only: %w", err)
	}
	_, err := m.e.Update(context.Background(), func(*roster.Txn) error { return nil })
	if !errors.Is(err, roster.ErrReadOnly) {
		return fmt.Errorf("update of a read-only engine: %w", err)
	}
	if err := m.close(); err != nil {
		return fmt.Errorf("read-only: %w", err)
	}
	m.options = writable
	return m.open()
}

// restore makes a backup, restores it in a new folder and goes on there.
func (m *Machine) restore() error {
	ctx := context.Background()
	var backup bytes.Buffer
	rev, err := m.e.Backup(ctx, &backup)
	if err != nil {
		return err
	}
	if rev != m.now.Revision {
		return fmt.Errorf("backup of revision %d, not %d", rev, m.now.Revision)
	}
	if err := m.close(); err != nil {
		return err
	}
	if err := roster.Restore(ctx, m.folder(), bytes.NewReader(backup.Bytes()), m.options); !errors.Is(err, roster.ErrNotStore) {
		return fmt.Errorf("restore into a folder in use: %w", err)
	}
	if err := os.RemoveAll(m.folder()); err != nil {
		return err
	}
	m.folders++
	m.options = m.variant()
	if err := roster.Restore(ctx, m.folder(), &backup, m.options); err != nil {
		return err
	}
	m.now = m.now.Cut()
	if err := m.open(); err != nil {
		return err
	}
	return m.check(manyUsers)
}
