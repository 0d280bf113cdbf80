// gqlgen on net/http, on one thread (GOMAXPROCS=1): `gqlgen-peer memory:FILE` serves on a free port that it prints.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"
)

func main() {
	if len(os.Args) != 2 || !strings.HasPrefix(os.Args[1], "memory:") {
		log.Fatal("usage: gqlgen-peer memory:FILE")
	}
	content, err := os.ReadFile(strings.TrimPrefix(os.Args[1], "memory:"))
	if err != nil {
		log.Fatal(err)
	}
	var found []*User
	if err := json.Unmarshal(content, &found); err != nil {
		log.Fatal(err)
	}
	graphql := handler.New(NewExecutableSchema(Config{Resolvers: &Root{store: newStore(found)}}))
	graphql.AddTransport(transport.Websocket{})
	graphql.AddTransport(transport.POST{})
	graphql.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/graphql", func(writer http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodPost {
			graphql.ServeHTTP(writer, request)
			return
		}
		whole := &wholeAnswer{ResponseWriter: writer, status: http.StatusOK}
		graphql.ServeHTTP(whole, request)
		writer.Header().Set("Content-Length", strconv.Itoa(whole.body.Len()))
		writer.WriteHeader(whole.status)
		_, _ = writer.Write(whole.body.Bytes())
	})
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

// wholeAnswer sends an answer with its length, where net/http would send a long one in chunks.
type wholeAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (answer *wholeAnswer) WriteHeader(status int) { answer.status = status }

func (answer *wholeAnswer) Write(data []byte) (int, error) { return answer.body.Write(data) }
