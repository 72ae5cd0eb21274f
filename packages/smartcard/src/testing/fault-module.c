/*
 * A PKCS#11 module in front of another one (P11_REAL) that hangs, crashes, ends its process or fails inside a function.
 * The file that P11_FAULT names says which: "C_Sign hang", "C_Login crash", "C_Sign exit", "C_Login 5" (an error), or
 * "C_Sign slow 1200" (milliseconds). It is read at each call, and the names of the functions called are appended to
 * P11_CALLS. With P11_PIN_PAD, the token has a PIN pad on which that PIN is typed.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define CK_PTR *
#define CK_DEFINE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION_POINTER(type, name) type(*name)
#define CK_CALLBACK_FUNCTION(type, name) type(*name)
#ifndef NULL_PTR
#define NULL_PTR 0
#endif
#include <pkcs11.h>

static CK_FUNCTION_LIST functions;
static CK_FUNCTION_LIST_PTR real;

static CK_RV fault(const char *function) {
  char name[32] = "", kind[32] = "";
  int milliseconds = 0;
  const char *path = getenv("P11_FAULT");
  const char *calls = getenv("P11_CALLS");
  FILE *file = calls ? fopen(calls, "a") : NULL;
  if (file) {
    fprintf(file, "%s\n", function);
    fclose(file);
  }
  file = path ? fopen(path, "r") : NULL;
  if (!file) return CKR_OK;
  if (fscanf(file, "%31s %31s %d", name, kind, &milliseconds) < 2) name[0] = 0;
  fclose(file);
  if (strcmp(name, function)) return CKR_OK;
  if (!strcmp(kind, "hang"))
    for (;;) sleep(1);
  if (!strcmp(kind, "crash")) abort();
  if (!strcmp(kind, "exit")) exit(0);
  if (!strcmp(kind, "slow")) usleep(milliseconds * 1000);
  return (CK_RV)atoi(kind);
}

static CK_RV faulty_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info) {
  CK_RV result = real->C_GetTokenInfo(slot, info);
  if (!result && getenv("P11_PIN_PAD")) info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
  return result;
}

static CK_RV faulty_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG length) {
  CK_RV result = fault("C_Login");
  char *pad = getenv("P11_PIN_PAD");
  if (pad && length == 0) {
    pin = (CK_UTF8CHAR_PTR)pad;
    length = strlen(pad);
  }
  return result ? result : real->C_Login(session, user, pin, length);
}

static CK_RV faulty_sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG length, CK_BYTE_PTR signature,
                         CK_ULONG_PTR signature_length) {
  CK_RV result = fault("C_Sign");
  return result ? result : real->C_Sign(session, data, length, signature, signature_length);
}

static CK_RV faulty_wait_for_slot_event(CK_FLAGS flags, CK_SLOT_ID_PTR slot, CK_VOID_PTR reserved) {
  CK_RV result = fault("C_WaitForSlotEvent");
  return result ? result : real->C_WaitForSlotEvent(flags, slot, reserved);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  void *library = dlopen(getenv("P11_REAL"), RTLD_NOW | RTLD_LOCAL);
  CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR);
  CK_RV result;
  if (!library) return CKR_GENERAL_ERROR;
  get = (CK_RV(*)(CK_FUNCTION_LIST_PTR_PTR))dlsym(library, "C_GetFunctionList");
  if ((result = get(&real)) != CKR_OK) return result;
  functions = *real;
  functions.C_GetTokenInfo = faulty_token_info;
  functions.C_Login = faulty_login;
  functions.C_Sign = faulty_sign;
  functions.C_WaitForSlotEvent = faulty_wait_for_slot_event;
  *list = &functions;
  return CKR_OK;
}
