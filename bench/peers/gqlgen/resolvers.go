package main

import (
	"context"
	"fmt"
	"sync"
)

// store has the users, and who watches which of them: a channel for each subscription.
type store struct {
	mutex    sync.Mutex
	users    map[string]*User
	watchers map[string]map[chan *User]struct{}
}

// waiting is how many changes of a user a subscription may be behind; the load never lets it be more than a few.
const waiting = 1000

func newStore(found []*User) *store {
	users := make(map[string]*User, len(found))
	for _, user := range found {
		users[user.ID] = user
	}
	return &store{users: users, watchers: map[string]map[chan *User]struct{}{}}
}

func (store *store) get(id string) *User {
	store.mutex.Lock()
	defer store.mutex.Unlock()
	return store.users[id]
}

func (store *store) getMany(ids []string) []*User {
	store.mutex.Lock()
	defer store.mutex.Unlock()
	found := make([]*User, len(ids))
	for place, id := range ids {
		found[place] = store.users[id]
	}
	return found
}

func (store *store) set(id string, given SetUserInput) (*User, error) {
	store.mutex.Lock()
	defer store.mutex.Unlock()
	before := store.users[id]
	if before == nil {
		return nil, fmt.Errorf("There is no user %q.", id)
	}
	user := *before
	if given.Name != nil {
		user.Name = *given.Name
	}
	if given.Custom != nil {
		user.Custom = given.Custom
	}
	if given.Locale != nil {
		user.Locale = given.Locale
	}
	if given.PhotoURL != nil {
		user.PhotoURL = given.PhotoURL
	}
	if given.Role != nil {
		user.Role = *given.Role
	}
	if given.WelcomeMessage != nil {
		user.WelcomeMessage = given.WelcomeMessage
	}
	store.users[id] = &user
	for watcher := range store.watchers[id] {
		watcher <- &user
	}
	return &user, nil
}

func (store *store) watch(ctx context.Context, id string) <-chan *User {
	store.mutex.Lock()
	defer store.mutex.Unlock()
	events := make(chan *User, waiting)
	events <- store.users[id]
	if store.watchers[id] == nil {
		store.watchers[id] = map[chan *User]struct{}{}
	}
	store.watchers[id][events] = struct{}{}
	context.AfterFunc(ctx, func() {
		store.mutex.Lock()
		defer store.mutex.Unlock()
		delete(store.watchers[id], events)
		if len(store.watchers[id]) == 0 {
			delete(store.watchers, id)
		}
		close(events)
	})
	return events
}

// Root is what gqlgen asks for resolvers.
type Root struct{ store *store }

type (
	query        struct{ *store }
	mutation     struct{ *store }
	subscription struct{ *store }
)

func (root *Root) Query() QueryResolver               { return query{root.store} }
func (root *Root) Mutation() MutationResolver         { return mutation{root.store} }
func (root *Root) Subscription() SubscriptionResolver { return subscription{root.store} }

func (query query) User(_ context.Context, id string) (*User, error) { return query.get(id), nil }

func (query query) Users(_ context.Context, ids []string) ([]*User, error) { return query.getMany(ids), nil }

func (mutation mutation) SetUser(_ context.Context, id string, input SetUserInput) (*SetUserPayload, error) {
	user, err := mutation.set(id, input)
	if err != nil {
		return nil, err
	}
	return &SetUserPayload{User: user, Changed: true}, nil
}

func (subscription subscription) UserChanged(ctx context.Context, id string) (<-chan *User, error) {
	return subscription.watch(ctx, id), nil
}
