import koffi from 'koffi';
import type { Libraries } from './libraries.ts';
import { loadLibraries } from './load-libraries.ts';

/**
 * TensorFlow's C API (tensorflow/c/c_api.h, tf_tensor.h, tf_status.h), the part this engine uses, by FFI.
 * A pointer is a bigint here. Whatever a TF_New* or TF_Allocate* returns belongs to the caller, who deletes it.
 */

export type Pointer = bigint;

/** TF_Output: one output of an operation, passed by value. */
export interface Output {
  readonly oper: Pointer;
  readonly index: number;
}

/** TF_DataType (tf_datatype.h). */
export const DATA_TYPE = {
  float32: 1,
  int32: 3,
  uint8: 4,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  resource: 20,
  uint64: 23,
} as const;

/** sizeof(TF_Output) on a 64-bit machine: a pointer, an int, and padding. */
export const OUTPUT_BYTES = 16;

export type CApi = ReturnType<typeof loadCApi>;

/** The functions, once a process: what is loaded stays until it ends. */
export function loadCApi(libraries: Libraries) {
  const bind = loadLibraries(libraries);
  koffi.struct('TF_Output', { oper: 'void *', index: 'int' });
  const functions = {
    version: bind('const char *TF_Version()') as () => string,

    newStatus: bind('void *TF_NewStatus()') as () => Pointer,
    deleteStatus: bind('void TF_DeleteStatus(void *)') as (status: Pointer) => void,
    getCode: bind('int TF_GetCode(void *)') as (status: Pointer) => number,
    message: bind('const char *TF_Message(void *)') as (status: Pointer) => string,

    allocateTensor: bind('void *TF_AllocateTensor(int, const int64_t *, int, size_t)') as (
      type: number,
      dims: BigInt64Array,
      rank: number,
      bytes: number,
    ) => Pointer | null,
    deleteTensor: bind('void TF_DeleteTensor(void *)') as (tensor: Pointer) => void,
    tensorData: bind('void *TF_TensorData(void *)') as (tensor: Pointer) => Pointer | null,
    tensorByteSize: bind('size_t TF_TensorByteSize(void *)') as (tensor: Pointer) => number,

    newGraph: bind('void *TF_NewGraph()') as () => Pointer,
    deleteGraph: bind('void TF_DeleteGraph(void *)') as (graph: Pointer) => void,
    graphGetOpDef: bind('void TF_GraphGetOpDef(void *, const char *, void *, void *)') as (
      graph: Pointer,
      op: string,
      buffer: Pointer,
      status: Pointer,
    ) => void,
    graphGetTensorNumDims: bind('int TF_GraphGetTensorNumDims(void *, TF_Output, void *)') as (
      graph: Pointer,
      output: Output,
      status: Pointer,
    ) => number,
    graphGetTensorShape: bind('void TF_GraphGetTensorShape(void *, TF_Output, int64_t *, int, void *)') as (
      graph: Pointer,
      output: Output,
      dims: BigInt64Array,
      rank: number,
      status: Pointer,
    ) => void,

    graphSetTensorShape: bind('void TF_GraphSetTensorShape(void *, TF_Output, const int64_t *, int, void *)') as (
      graph: Pointer,
      output: Output,
      dims: BigInt64Array,
      rank: number,
      status: Pointer,
    ) => void,

    newOperation: bind('void *TF_NewOperation(void *, const char *, const char *)') as (
      graph: Pointer,
      type: string,
      name: string,
    ) => Pointer,
    addInput: bind('void TF_AddInput(void *, TF_Output)') as (description: Pointer, input: Output) => void,
    addInputList: bind('void TF_AddInputList(void *, const TF_Output *, int)') as (
      description: Pointer,
      inputs: readonly Output[],
      count: number,
    ) => void,
    addControlInput: bind('void TF_AddControlInput(void *, void *)') as (description: Pointer, oper: Pointer) => void,
    setAttrString: bind('void TF_SetAttrString(void *, const char *, const void *, size_t)') as (
      description: Pointer,
      name: string,
      value: Uint8Array,
      length: number,
    ) => void,
    setAttrStringList: bind(
      'void TF_SetAttrStringList(void *, const char *, const void *const *, const size_t *, int)',
    ) as (
      description: Pointer,
      name: string,
      values: readonly Uint8Array[],
      lengths: BigUint64Array,
      count: number,
    ) => void,
    setAttrInt: bind('void TF_SetAttrInt(void *, const char *, int64_t)') as (
      description: Pointer,
      name: string,
      value: number,
    ) => void,
    setAttrIntList: bind('void TF_SetAttrIntList(void *, const char *, const int64_t *, int)') as (
      description: Pointer,
      name: string,
      values: BigInt64Array,
      count: number,
    ) => void,
    setAttrFloat: bind('void TF_SetAttrFloat(void *, const char *, float)') as (
      description: Pointer,
      name: string,
      value: number,
    ) => void,
    setAttrBool: bind('void TF_SetAttrBool(void *, const char *, uint8_t)') as (
      description: Pointer,
      name: string,
      value: number,
    ) => void,
    setAttrType: bind('void TF_SetAttrType(void *, const char *, int)') as (
      description: Pointer,
      name: string,
      type: number,
    ) => void,
    setAttrShape: bind('void TF_SetAttrShape(void *, const char *, const int64_t *, int)') as (
      description: Pointer,
      name: string,
      dims: BigInt64Array,
      rank: number,
    ) => void,
    setAttrTensor: bind('void TF_SetAttrTensor(void *, const char *, void *, void *)') as (
      description: Pointer,
      name: string,
      tensor: Pointer,
      status: Pointer,
    ) => void,
    finishOperation: bind('void *TF_FinishOperation(void *, void *)') as (
      description: Pointer,
      status: Pointer,
    ) => Pointer | null,
    operationOutputType: bind('int TF_OperationOutputType(TF_Output)') as (output: Output) => number,

    setAttrTypeList: bind('void TF_SetAttrTypeList(void *, const char *, const int *, int)') as (
      description: Pointer,
      name: string,
      types: Int32Array,
      count: number,
    ) => void,
    setAttrFuncName: bind('void TF_SetAttrFuncName(void *, const char *, const char *, size_t)') as (
      description: Pointer,
      name: string,
      value: string,
      length: number,
    ) => void,
    graphToFunction: bind(
      'void *TF_GraphToFunction(void *, const char *, uint8_t, int, const void *, int, const TF_Output *, int, ' +
        'const TF_Output *, const void *, const void *, const char *, void *)',
    ) as (
      body: Pointer,
      name: string,
      appendHash: number,
      operations: number,
      all: null,
      inputCount: number,
      inputs: readonly Output[],
      outputCount: number,
      outputs: readonly Output[],
      outputNames: null,
      options: null,
      description: null,
      status: Pointer,
    ) => Pointer | null,
    graphCopyFunction: bind('void TF_GraphCopyFunction(void *, void *, void *, void *)') as (
      graph: Pointer,
      definition: Pointer,
      gradient: null,
      status: Pointer,
    ) => void,
    deleteFunction: bind('void TF_DeleteFunction(void *)') as (definition: Pointer) => void,

    newBuffer: bind('void *TF_NewBuffer()') as () => Pointer,
    newBufferFromString: bind('void *TF_NewBufferFromString(const void *, size_t)') as (
      bytes: Uint8Array,
      length: number,
    ) => Pointer,
    deleteBuffer: bind('void TF_DeleteBuffer(void *)') as (buffer: Pointer) => void,

    newSessionOptions: bind('void *TF_NewSessionOptions()') as () => Pointer,
    deleteSessionOptions: bind('void TF_DeleteSessionOptions(void *)') as (options: Pointer) => void,
    setConfig: bind('void TF_SetConfig(void *, const void *, size_t, void *)') as (
      options: Pointer,
      proto: Uint8Array,
      length: number,
      status: Pointer,
    ) => void,
    newSession: bind('void *TF_NewSession(void *, void *, void *)') as (
      graph: Pointer,
      options: Pointer,
      status: Pointer,
    ) => Pointer | null,
    closeSession: bind('void TF_CloseSession(void *, void *)') as (session: Pointer, status: Pointer) => void,
    deleteSession: bind('void TF_DeleteSession(void *, void *)') as (session: Pointer, status: Pointer) => void,
    sessionListDevices: bind('void *TF_SessionListDevices(void *, void *)') as (
      session: Pointer,
      status: Pointer,
    ) => Pointer | null,
    deleteDeviceList: bind('void TF_DeleteDeviceList(void *)') as (list: Pointer) => void,
    deviceListCount: bind('int TF_DeviceListCount(void *)') as (list: Pointer) => number,
    deviceListType: bind('const char *TF_DeviceListType(void *, int, void *)') as (
      list: Pointer,
      index: number,
      status: Pointer,
    ) => string,
    sessionRun: bind(
      'void TF_SessionRun(void *, const void *, const void *, const void *, int, const void *, void *, int, ' +
        'const void *, int, void *, void *)',
    ),
  };
  return { ...functions, ...memory(functions) };
}

/** Access to the memory behind TensorFlow's pointers. */
function memory(api: { tensorData: (tensor: Pointer) => Pointer | null; tensorByteSize: (tensor: Pointer) => number }) {
  return {
    /** The tensor's own bytes, valid until it is deleted. */
    tensorBytes(tensor: Pointer): Uint8Array {
      const bytes = Number(api.tensorByteSize(tensor));
      if (bytes === 0) return new Uint8Array();
      return new Uint8Array(koffi.view(api.tensorData(tensor), bytes));
    },
    /** A copy of a TF_Buffer's bytes: struct { const void *data; size_t length; ... }. */
    bufferBytes(buffer: Pointer): Uint8Array {
      const data = BigInt(koffi.decode.uint64(buffer));
      const length = Number(koffi.decode.uint64(buffer + 8n));
      return length === 0 ? new Uint8Array() : new Uint8Array(koffi.view(data, length)).slice();
    },
    /** The address of a buffer's memory, which the caller keeps alive while native code uses it. */
    address: (buffer: Uint8Array | BigUint64Array): Pointer => koffi.address(buffer),
  };
}
