/* The call loop, compiled: the same thing as dispatch.py, which says what each part is for.
 *
 * Emitter.send forwards the argument vector that it was called with to each receiver, unchanged: no
 * tuple and no dict is built on the way. Whatever is not plain goes to the Python method _deliver.
 *
 * All state belongs to the module, so sub-interpreters share nothing. The code relies on the GIL in
 * two ways, and therefore does not declare that it can run without it: the attributes of a Link are
 * read one after the other while another thread may be disconnecting it, and a list of results is
 * filled in place.
 *
 * Over 400 lines, because the four types lean on each other's fields, and a type in C takes a hundred.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyTypeObject *link_type;
    PyTypeObject *routes_type;
    PyTypeObject *emitter_type;
    PyTypeObject *resolver_type;
    int observed;               /* whether every send takes the slow path; see set_observed */
    PyObject *wrapper_name;     /* "_async_wrapper" */
    PyObject *slowly_name;      /* "_send_slowly" */
    PyObject *continue_name;    /* "_continue_after" */
    PyObject *proxy_name;       /* "_get_current_object" */
} State;

static inline int
is_none(PyObject *object)
{
    return object == NULL || object == Py_None;
}

/* What a reference gives, as a new reference; NULL without an exception when it is dead. */
static inline PyObject *
dereference(PyObject *ref)
{
    PyObject *target;
    if (ref == NULL) {
        return NULL;
    }
    if (PyWeakref_CheckRef(ref)) {
#if PY_VERSION_HEX >= 0x030D0000
        (void)PyWeakref_GetRef(ref, &target);
        return target;
#else
        target = PyWeakref_GET_OBJECT(ref);
        return target == Py_None ? NULL : Py_NewRef(target);
#endif
    }
    /* What stands in for the reference of a connection that is undone. */
    Py_INCREF(ref);
    target = PyObject_CallNoArgs(ref);
    Py_DECREF(ref);
    if (target == Py_None) {
        Py_CLEAR(target);
    }
    return target;
}

/* ---- Link ------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *ref;
    PyObject *resolver;
} Link;

static int
link_traverse(Link *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->ref);
    Py_VISIT(self->resolver);
    return 0;
}

static int
link_clear(Link *self)
{
    Py_CLEAR(self->ref);
    Py_CLEAR(self->resolver);
    return 0;
}

static void
link_dealloc(Link *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)link_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
link_resolve(PyObject *link, PyObject *Py_UNUSED(ignored))
{
    Link *self = (Link *)link;
    PyObject *anchor = dereference(self->ref);
    if (anchor == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    PyObject *resolver = self->resolver, *pair;
    if (is_none(resolver)) {
        pair = PyTuple_Pack(2, anchor, anchor);
    }
    else {
        Py_INCREF(resolver);
        pair = PyObject_CallOneArg(resolver, anchor);
        Py_DECREF(resolver);
    }
    Py_DECREF(anchor);
    return pair;
}

static PyMemberDef link_members[] = {
    {"ref", T_OBJECT, offsetof(Link, ref), 0, NULL},
    {"resolver", T_OBJECT, offsetof(Link, resolver), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef link_methods[] = {
    {"resolve", link_resolve, METH_NOARGS,
     "resolve($self, /)\n--\n\n"
     "Return the receiver and what is called instead of it, or None if it is dead."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot link_slots[] = {
    {Py_tp_doc, "One receiver connected for one sender, as the call loop needs it."},
    {Py_tp_traverse, link_traverse},
    {Py_tp_clear, link_clear},
    {Py_tp_dealloc, link_dealloc},
    {Py_tp_members, link_members},
    {Py_tp_methods, link_methods},
    {0, NULL},
};

static PyType_Spec link_spec = {
    .name = "aldis.core._dispatch.Link",
    .basicsize = sizeof(Link),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = link_slots,
};

/* ---- MethodResolver ------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *function;
} Resolver;

static int
resolver_traverse(Resolver *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->function);
    return 0;
}

static int
resolver_clear(Resolver *self)
{
    Py_CLEAR(self->function);
    return 0;
}

static void
resolver_dealloc(Resolver *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)resolver_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static int
resolver_init(Resolver *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"function", NULL};
    PyObject *function;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:MethodResolver", names, &function)) {
        return -1;
    }
    Py_XSETREF(self->function, Py_NewRef(function));
    return 0;
}

static PyObject *
resolver_call(Resolver *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"anchor", NULL};
    PyObject *anchor;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:MethodResolver", names, &anchor)) {
        return NULL;
    }
    PyObject *function = dereference(self->function);
    if (function == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    PyObject *method = PyMethod_New(function, anchor), *pair = NULL;
    if (method != NULL) {
        pair = PyTuple_Pack(2, method, method);
        Py_DECREF(method);
    }
    Py_DECREF(function);
    return pair;
}

static PyMemberDef resolver_members[] = {
    {"function", T_OBJECT, offsetof(Resolver, function), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot resolver_slots[] = {
    {Py_tp_doc, "A bound method whose object is the anchor; its function is held weakly as well."},
    {Py_tp_traverse, resolver_traverse},
    {Py_tp_clear, resolver_clear},
    {Py_tp_dealloc, resolver_dealloc},
    {Py_tp_init, resolver_init},
    {Py_tp_call, resolver_call},
    {Py_tp_members, resolver_members},
    {0, NULL},
};

static PyType_Spec resolver_spec = {
    .name = "aldis.core._dispatch.MethodResolver",
    .basicsize = sizeof(Resolver),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = resolver_slots,
};

/* ---- Routes ---------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    State *state;           /* of the module, which the type keeps alive */
    PyObject *everyone;
    PyObject *scoped;
    PyObject *dead;
    PyObject *real_type;
    char continue_on_error;
} Routes;

static int
routes_traverse(Routes *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->everyone);
    Py_VISIT(self->scoped);
    Py_VISIT(self->dead);
    Py_VISIT(self->real_type);
    return 0;
}

static int
routes_clear(Routes *self)
{
    Py_CLEAR(self->everyone);
    Py_CLEAR(self->scoped);
    Py_CLEAR(self->dead);
    Py_CLEAR(self->real_type);
    return 0;
}

static void
routes_dealloc(Routes *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)routes_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
routes_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dead", NULL};
    PyObject *dead;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Routes", names, &dead)) {
        return NULL;
    }
    Routes *self = (Routes *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = PyType_GetModuleState(type);
    self->dead = Py_NewRef(dead);
    self->scoped = PyDict_New();
    if (self->state == NULL || self->scoped == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* 1 when sender is no proxy, and its type is remembered; 0 when it is one. */
static int
routes_is_real(Routes *self, PyObject *sender)
{
    PyTypeObject *type = Py_TYPE(sender);
    if (PyObject_HasAttr((PyObject *)type, self->state->proxy_name)) {
        return 0;
    }
    Py_INCREF(type);
    Py_XSETREF(self->real_type, (PyObject *)type);
    return 1;
}

static inline int
is_real(Routes *self, PyObject *sender)
{
    return (PyObject *)Py_TYPE(sender) == self->real_type || routes_is_real(self, sender);
}

/* See identity.sender_key. */
static PyObject *
sender_key(PyObject *sender)
{
    if (PyUnicode_CheckExact(sender)) {
        return Py_NewRef(sender);
    }
    if (PyUnicode_Check(sender)) {
        return PyUnicode_FromObject(sender);
    }
    if (PyLong_Check(sender) && !PyBool_Check(sender)) {
        PyObject *value = PyLong_Type.tp_as_number->nb_int(sender);
        if (value == NULL) {
            return NULL;
        }
        PyObject *key = PyTuple_Pack(1, value);
        Py_DECREF(value);
        return key;
    }
    return PyLong_FromVoidPtr(sender);
}

/* The links for sender as a new reference. NULL: an error, if one is set, or not known. */
static PyObject *
routes_find(Routes *self, PyObject *sender)
{
    if (PyObject_Size(self->dead) != 0 || !is_real(self, sender)) {
        return NULL;
    }
    /* Before the key: making it may run the collector, and that a __del__ that connects. */
    PyObject *key = sender_key(sender);
    if (key == NULL) {
        return NULL;
    }
    PyObject *everyone = self->everyone, *links = NULL;
    if (!is_none(everyone)) {
        PyObject *entry = PyDict_GetItemWithError(self->scoped, key);
        if (entry == NULL) {
            links = PyErr_Occurred() ? NULL : everyone;
        }
        else if (PyTuple_CheckExact(entry) && PyTuple_GET_SIZE(entry) == 2
                 && PyTuple_GET_ITEM(entry, 0) == everyone) {
            links = PyTuple_GET_ITEM(entry, 1);
        }
        Py_XINCREF(links);
    }
    Py_DECREF(key);
    return links;
}

static PyMemberDef routes_members[] = {
    {"everyone", T_OBJECT, offsetof(Routes, everyone), 0, NULL},
    {"scoped", T_OBJECT, offsetof(Routes, scoped), READONLY, NULL},
    {"dead", T_OBJECT, offsetof(Routes, dead), READONLY, NULL},
    {"real_type", T_OBJECT, offsetof(Routes, real_type), READONLY, NULL},
    {"continue_on_error", T_BOOL, offsetof(Routes, continue_on_error), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot routes_slots[] = {
    {Py_tp_doc, "Which links a send walks, as far as they are known and plain."},
    {Py_tp_traverse, routes_traverse},
    {Py_tp_clear, routes_clear},
    {Py_tp_dealloc, routes_dealloc},
    {Py_tp_new, routes_new},
    {Py_tp_members, routes_members},
    {0, NULL},
};

static PyType_Spec routes_spec = {
    .name = "aldis.core._dispatch.Routes",
    .basicsize = sizeof(Routes),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = routes_slots,
};

/* ---- Emitter --------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Routes *routes;
    PyObject *weak_references;
    /* The keyword names of the last call with an _async_wrapper, and the same without it. Call
       sites pass the same tuple each time. */
    PyObject *names_with;
    PyObject *names_without;
} Emitter;

static int
emitter_traverse(Emitter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->routes);
    Py_VISIT(self->names_with);
    Py_VISIT(self->names_without);
    return 0;
}

static int
emitter_clear(Emitter *self)
{
    Py_CLEAR(self->routes);
    Py_CLEAR(self->names_with);
    Py_CLEAR(self->names_without);
    return 0;
}

static void
emitter_dealloc(Emitter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weak_references != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)emitter_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
emitter_get_routes(PyObject *emitter, void *Py_UNUSED(closure))
{
    Emitter *self = (Emitter *)emitter;
    if (self->routes == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_routes");
        return NULL;
    }
    return Py_NewRef(self->routes);
}

static int
emitter_set_routes(PyObject *emitter, PyObject *value, void *Py_UNUSED(closure))
{
    Emitter *self = (Emitter *)emitter;
    if (value == NULL || Py_TYPE(value)->tp_new != routes_new) {
        PyErr_SetString(PyExc_TypeError, "_routes must be a Routes of this module");
        return -1;
    }
    Py_XSETREF(self->routes, (Routes *)Py_NewRef(value));
    return 0;
}

/* The arguments of one send, ready to be handed on.

   vector[0] is the sender, followed by the values of the keyword arguments, whose names are in
   names (NULL if there are none). Where there is need of a copy, it is made in own, one place
   further right, so that a method's object fits in front. */
#define ROOM 10

typedef struct {
    PyObject *const *vector;
    PyObject *names;
    Py_ssize_t count;           /* of all values, the sender included */
    PyObject *wrapper;          /* _async_wrapper, or NULL */
    PyObject **own;             /* the copy, or NULL */
    PyObject *room[ROOM];       /* where a copy of the usual size goes */
} Arguments;

static int
copy_arguments(Arguments *given)
{
    if (given->own != NULL) {
        return 0;
    }
    given->own = given->room;
    if (given->count + 1 > ROOM) {
        given->own = PyMem_New(PyObject *, given->count + 1);
        if (given->own == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    if (given->vector != NULL) {
        memcpy(given->own + 1, given->vector, given->count * sizeof(PyObject *));
    }
    given->vector = given->own + 1;
    return 0;
}

static void
release_arguments(Arguments *given)
{
    if (given->own != NULL && given->own != given->room) {
        PyMem_Free(given->own);
    }
    Py_XDECREF(given->names);
}

/* Where "_async_wrapper" stands in names, or -1; -2 with an error. */
static Py_ssize_t
find_wrapper(State *state, PyObject *names)
{
    Py_ssize_t size = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < size; i++) {
        if (PyTuple_GET_ITEM(names, i) == state->wrapper_name) {
            return i;
        }
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_CHECK_INTERNED(name)) {
            continue;
        }
        int order = PyUnicode_Compare(name, state->wrapper_name);
        if (order == 0) {
            return i;
        }
        if (PyErr_Occurred()) {
            return -2;
        }
    }
    return -1;
}

/* names without the one at position, as a new reference; remembered for the next call. */
static PyObject *
names_without(Emitter *self, PyObject *names, Py_ssize_t position)
{
    if (names == self->names_with) {
        return Py_NewRef(self->names_without);
    }
    Py_ssize_t size = PyTuple_GET_SIZE(names) - 1;
    PyObject *rest = PyTuple_New(size);
    if (rest == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        PyTuple_SET_ITEM(rest, i, Py_NewRef(PyTuple_GET_ITEM(names, i + (i >= position))));
    }
    Py_XSETREF(self->names_with, Py_NewRef(names));
    Py_XSETREF(self->names_without, Py_NewRef(rest));
    return rest;
}

static int
take_arguments(Emitter *self, Arguments *given, PyObject *const *args, Py_ssize_t nargs,
               PyObject *names)
{
    given->own = NULL;
    given->wrapper = NULL;
    given->names = NULL;
    if (nargs > 1) {
        PyErr_Format(PyExc_TypeError,
                     "Emitter.send() takes from 1 to 2 positional arguments but %zd were given",
                     nargs + 1);
        return -1;
    }
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    Py_ssize_t position = named == 0 ? -1 : find_wrapper(self->routes->state, names);
    if (position == -2) {
        return -1;
    }
    given->count = 1 + named - (position >= 0);
    if (nargs == 1 && position < 0) {
        given->vector = args;
        given->names = Py_XNewRef(names);
        return 0;
    }
    given->vector = NULL;
    if (copy_arguments(given) < 0) {
        return -1;
    }
    PyObject **own = given->own + 1;
    *own++ = nargs == 1 ? args[0] : Py_None;
    for (Py_ssize_t i = 0; i < named; i++) {
        if (i != position) {
            *own++ = args[nargs + i];
        }
    }
    if (position < 0) {
        given->names = Py_XNewRef(names);
        return 0;
    }
    PyObject *wrapper = args[nargs + position];
    given->wrapper = wrapper == Py_None ? NULL : wrapper;
    if (named > 1) {
        given->names = names_without(self, names, position);
        return given->names == NULL ? -1 : 0;
    }
    return 0;
}

static PyObject *
keyword_dict(Arguments *given)
{
    PyObject *kwargs = PyDict_New();
    for (Py_ssize_t i = 1; kwargs != NULL && i < given->count; i++) {
        PyObject *name = PyTuple_GET_ITEM(given->names, i - 1);
        if (PyDict_SetItem(kwargs, name, given->vector[i]) < 0) {
            Py_CLEAR(kwargs);
        }
    }
    return kwargs;
}

/* self._send_slowly(sender, wrapper, kwargs) */
static PyObject *
deliver(Emitter *self, Arguments *given)
{
    PyObject *kwargs = keyword_dict(given);
    if (kwargs == NULL) {
        return NULL;
    }
    PyObject *args[] = {(PyObject *)self, given->vector[0],
                        given->wrapper == NULL ? Py_None : given->wrapper, kwargs};
    PyObject *results = PyObject_VectorcallMethod(
        self->routes->state->slowly_name, args, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(kwargs);
    return results;
}

/* self._continue_after(links, position, error, sender, kwargs), and the error that is set stays set, unless
   a worse one comes of it. Meanwhile it is being handled, as in an except clause. */
static void
continue_after(Emitter *self, PyObject *links, Py_ssize_t position, Arguments *given)
{
    PyObject *type, *error, *traceback, *done = NULL;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    PyObject *handled_before = PyErr_GetHandledException();
    PyErr_SetHandledException(error);
    PyObject *number = PyLong_FromSsize_t(position);
    PyObject *kwargs = keyword_dict(given);
    if (number != NULL && kwargs != NULL) {
        PyObject *args[] = {(PyObject *)self, links, number, error, given->vector[0], kwargs};
        done = PyObject_VectorcallMethod(self->routes->state->continue_name, args,
                                         6 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_XDECREF(number);
    Py_XDECREF(kwargs);
    PyErr_SetHandledException(handled_before);
    Py_XDECREF(handled_before);
    if (done != NULL) {
        Py_DECREF(done);
        PyErr_Restore(type, error, traceback);
        return;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
}

/* A function is called by its own entry, as PyObject_Vectorcall would do after some checks. */
static inline PyObject *
call_plainly(PyObject *receiver, PyObject *const *vector, PyObject *names)
{
    if (PyFunction_Check(receiver)) {
        return ((PyFunctionObject *)receiver)->vectorcall(receiver, vector, 1, names);
    }
    return PyObject_Vectorcall(receiver, vector, 1, names);
}

/* Call through a link with a resolver, whose anchor this steals. Sets *receiver to a new reference when
   there was one to call; without one, the result is NULL and no exception is set. */
static PyObject *
call_resolver(State *state, PyObject *resolver, PyObject *anchor, Arguments *given, PyObject **receiver)
{
    PyObject *value = NULL;
    *receiver = NULL;
    Py_INCREF(resolver);
    if (Py_IS_TYPE(resolver, state->resolver_type)) {
        PyObject *function = dereference(((Resolver *)resolver)->function);
        if (function != NULL && copy_arguments(given) == 0
            && (*receiver = PyMethod_New(function, anchor)) != NULL) {
            given->own[0] = anchor;
            value = PyObject_Vectorcall(function, given->own, 2, given->names);
        }
        Py_XDECREF(function);
    }
    else {
        PyObject *pair = PyObject_CallOneArg(resolver, anchor);
        if (pair != NULL && pair != Py_None) {
            if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
                PyErr_SetString(PyExc_TypeError, "a resolver must return a receiver and its call");
            }
            else {
                *receiver = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
                value = PyObject_Vectorcall(PyTuple_GET_ITEM(pair, 1), given->vector, 1,
                                            given->names);
            }
        }
        Py_XDECREF(pair);
    }
    Py_DECREF(resolver);
    Py_DECREF(anchor);
    return value;
}

/* Steals receiver and value. */
static inline PyObject *
make_pair(PyObject *receiver, PyObject *value)
{
    PyObject *pair = PyTuple_New(2);
    if (pair == NULL) {
        Py_DECREF(receiver);
        Py_DECREF(value);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, receiver);
    PyTuple_SET_ITEM(pair, 1, value);
    return pair;
}

static PyObject *
walk(Emitter *self, PyObject *links, Arguments *given)
{
    Py_ssize_t size = PyTuple_GET_SIZE(links), called = 0;
    Routes *routes = self->routes;
    State *state = routes->state;
    /* Room for all; nobody can come across the list while it is not tracked. */
    PyObject *results = PyList_New(size);
    if (results == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(results);
    for (Py_ssize_t i = 0; i < size; i++) {
        Link *link = (Link *)PyTuple_GET_ITEM(links, i);
        PyObject *receiver = dereference(link->ref), *value = NULL;
        if (receiver != NULL && is_none(link->resolver)) {
            value = call_plainly(receiver, given->vector, given->names);
        }
        else if (receiver != NULL) {
            value = call_resolver(state, link->resolver, receiver, given, &receiver);
        }
        PyObject *pair = value == NULL ? NULL : make_pair(receiver, value);
        if (pair != NULL) {
            PyList_SET_ITEM(results, called++, pair);
            continue;
        }
        if (value == NULL) {
            Py_XDECREF(receiver);
        }
        if (PyErr_Occurred()) {
            Py_DECREF(results);
            if (routes->continue_on_error && PyErr_ExceptionMatches(PyExc_Exception)) {
                continue_after(self, links, i, given);
            }
            return NULL;
        }
        /* Dead, or disconnected since the send began: the next send sweeps. */
        Py_XSETREF(routes->everyone, Py_NewRef(Py_None));
    }
    Py_SET_SIZE(results, called);
    PyObject_GC_Track(results);
    return results;
}

static PyObject *
emitter_send(PyObject *emitter, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    Emitter *self = (Emitter *)emitter;
    Routes *routes = self->routes;
    if (routes == NULL) {
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '_routes'",
                     Py_TYPE(self)->tp_name);
        return NULL;
    }
    if (nargs <= 1 && routes->everyone != NULL && PyTuple_CheckExact(routes->everyone)
        && PyTuple_GET_SIZE(routes->everyone) == 0 && PyDict_GET_SIZE(routes->scoped) == 0
        && !routes->state->observed) {
        return PyList_New(0);   /* the most frequent send of all: nobody listens */
    }
    Arguments given;
    PyObject *links = NULL, *results = NULL;
    Py_INCREF(routes);          /* a receiver may initialize the signal anew */
    if (take_arguments(self, &given, args, nargs, names) < 0) {
        goto done;
    }
    if (PyDict_GET_SIZE(routes->scoped) != 0) {
        links = routes_find(routes, given.vector[0]);
        if (links == NULL && PyErr_Occurred()) {
            goto done;
        }
    }
    else {
        links = Py_XNewRef(routes->everyone);
    }
    if (is_none(links) || routes->state->observed) {
        results = deliver(self, &given);
    }
    else if (PyTuple_GET_SIZE(links) == 0) {
        results = PyList_New(0);
    }
    else if (!is_real(routes, given.vector[0])) {
        results = deliver(self, &given);
    }
    else {
        results = walk(self, links, &given);
    }
done:
    Py_XDECREF(links);
    release_arguments(&given);
    Py_DECREF(routes);
    return results;
}

static PyGetSetDef emitter_getset[] = {
    {"_routes", emitter_get_routes, emitter_set_routes, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef emitter_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Emitter, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef emitter_methods[] = {
    {"send", (PyCFunction)(void (*)(void))emitter_send, METH_FASTCALL | METH_KEYWORDS,
     "send($self, sender=None, /, *, _async_wrapper=None, **kwargs)\n--\n\n"
     "Call the receivers connected to ``sender``, and to any sender, in connection order."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot emitter_slots[] = {
    {Py_tp_doc, "What can send: the base of Signal."},
    {Py_tp_traverse, emitter_traverse},
    {Py_tp_clear, emitter_clear},
    {Py_tp_dealloc, emitter_dealloc},
    {Py_tp_getset, emitter_getset},
    {Py_tp_members, emitter_members},
    {Py_tp_methods, emitter_methods},
    {0, NULL},
};

static PyType_Spec emitter_spec = {
    .name = "aldis.core._dispatch.Emitter",
    .basicsize = sizeof(Emitter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = emitter_slots,
};

/* ---- the module ------------------------------------------------------------------------------ */

static PyObject *
set_observed(PyObject *module, PyObject *observed)
{
    State *state = PyModule_GetState(module);
    int truth = PyObject_IsTrue(observed);
    if (truth < 0) {
        return NULL;
    }
    state->observed = truth;
    Py_RETURN_NONE;
}

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

static int
dispatch_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->wrapper_name = PyUnicode_InternFromString("_async_wrapper");
    state->slowly_name = PyUnicode_InternFromString("_send_slowly");
    state->continue_name = PyUnicode_InternFromString("_continue_after");
    state->proxy_name = PyUnicode_InternFromString("_get_current_object");
    if (state->wrapper_name == NULL || state->slowly_name == NULL || state->continue_name == NULL
        || state->proxy_name == NULL) {
        return -1;
    }
    state->link_type = add_type(module, &link_spec);
    state->resolver_type = add_type(module, &resolver_spec);
    state->routes_type = add_type(module, &routes_spec);
    state->emitter_type = add_type(module, &emitter_spec);
    if (state->link_type == NULL || state->resolver_type == NULL || state->routes_type == NULL
        || state->emitter_type == NULL) {
        return -1;
    }
    return 0;
}

static int
dispatch_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->link_type);
    Py_VISIT(state->resolver_type);
    Py_VISIT(state->routes_type);
    Py_VISIT(state->emitter_type);
    return 0;
}

static int
dispatch_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->link_type);
    Py_CLEAR(state->resolver_type);
    Py_CLEAR(state->routes_type);
    Py_CLEAR(state->emitter_type);
    return 0;
}

static void
dispatch_free(void *module)
{
    State *state = PyModule_GetState((PyObject *)module);
    (void)dispatch_clear((PyObject *)module);
    Py_CLEAR(state->wrapper_name);
    Py_CLEAR(state->slowly_name);
    Py_CLEAR(state->continue_name);
    Py_CLEAR(state->proxy_name);
}

static PyMethodDef dispatch_functions[] = {
    {"set_observed", set_observed, METH_O,
     "set_observed($module, observed, /)\n--\n\n"
     "Route every send through Emitter._send_slowly while observed is true."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot dispatch_module_slots[] = {
    {Py_mod_exec, dispatch_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef dispatch_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "aldis.core._dispatch",
    .m_doc = "The call loop, compiled: the twin of aldis.core.dispatch.",
    .m_size = sizeof(State),
    .m_methods = dispatch_functions,
    .m_slots = dispatch_module_slots,
    .m_traverse = dispatch_traverse,
    .m_clear = dispatch_clear,
    .m_free = dispatch_free,
};

PyMODINIT_FUNC
PyInit__dispatch(void)
{
    return PyModuleDef_Init(&dispatch_module);
}
